"""Faults on purpose: processes killed, files cut and changed, no room, no permission, no memory, two at once.

Afterwards a run ends in the result of an undisturbed one, or one line names the file and the way out.

`python tests/test_faults.py` tries all of it and writes the table in tests/README.md; the slow test too.
"""

import json
import os
import random
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import image_files
import pytest
import torch

from traflow_lib import ImageFolder, cli, distill, load_teacher
from traflow_lib.evaluation import records
from traflow_lib.files import paths
from traflow_lib.files.checksums import file_sha256
from traflow_lib.files.tensors import load_tensors
from traflow_lib.pairs import make_pairs
from traflow_lib.training.log import read_log

README = Path(__file__).with_name("README.md")
POINTS = paths.committed("checkpoints", "8gaussians-teacher-b94ac5e02f.safetensors")
STUDENT = paths.committed("checkpoints", "digits-traflow-seed0-587dafc3db.safetensors")


# jobs at smoke size: what runs in a folder, and what it leaves there


def command(*words) -> None:
    cli.app([*map(str, words)], standalone_mode=False)


def train(folder: Path) -> None:
    settings = {"batch": 16, "save_every": 4, "log_every": 4}
    distill(POINTS, None, "traflow", shape=(2,), steps=40, out=folder / "out", train=settings,
            pairs={"n": 64, "steps": 4})  # fmt: skip


def trained(folder: Path) -> list:
    lines = [(line["step"], line["loss"]) for line in read_log(folder / "out" / "training")]
    return [tensors(folder / "out" / "student.safetensors"), lines]


def tensors(file: Path) -> list:
    return [(name, value.tolist()) for name, value in sorted(load_tensors(file).items())]


def solve_pairs(folder: Path) -> None:
    solver = {"method": "heun", "steps": 30, "keep_path": True}
    make_pairs(load_teacher(POINTS), 200, (2,), 0, batch=10, file=folder / "pairs.safetensors", **solver)


def cache_images(folder: Path) -> None:
    ImageFolder(Path(os.environ["FAULTS_PICTURES"]), size=48)


def cached(folder: Path) -> list:
    return [file_sha256(file) for file in sorted(folder.glob("runs/images/*/*.npy"))]


def evaluate(folder: Path) -> None:
    command("evaluate", STUDENT, "--data", "digits", "--extractor", "random", "--samples", 200, "--batch", 20)


def measured(folder: Path) -> list:
    """Every record without what differs from run to run; a lost or doubled one makes another list."""
    found = [
        record for file in sorted(folder.glob("results/records/*/*.jsonl")) for record in records.read(file)
    ]
    return sorted((one.key, one.hash, json.dumps(one.metrics)) for one in found)


def bench(folder: Path) -> None:
    command("bench", "--recipe", "00_quickstart", "--profile", "smoke")


def build_tables(folder: Path) -> None:
    if not (folder / "results").exists():
        shutil.copytree(os.environ["FAULTS_RECORDS"], folder / "results")
    command("tables")


def tabulated(folder: Path) -> list:
    files = sorted(file for file in folder.glob("results/tables/**/*") if file.is_file())
    return [(str(file.relative_to(folder)), file_sha256(file)) for file in files]


def sample(folder: Path) -> None:
    shutil.rmtree(folder / "samples", ignore_errors=True)
    command("sample", STUDENT, "--samples", 200, "--batch", 50, "--out", folder / "samples")


def drawn(folder: Path) -> list:
    return [(file.name, file_sha256(file)) for file in sorted(folder.glob("samples/*"))]


@dataclass
class Job:
    """files: patterns of what it writes, by kind; processes: of one job."""

    run: Callable
    result: Callable
    files: dict[str, str] = field(default_factory=dict)
    processes: int = 1


JOBS = {
    "training": Job(train, trained, {
        "checkpoint": "out/training/checkpoint-*.pt", "log": "out/training/log.jsonl",
        "student": "out/student.safetensors", "pairs": "out/pairs-*.safetensors"}),
    "training by two processes": Job(train, trained, processes=2),
    "solving pairs": Job(solve_pairs, lambda folder: tensors(folder / "pairs.safetensors"),
                         {"part of pairs": "pairs.parts/*.safetensors"}),
    "caching images": Job(cache_images, cached, {
        "image cache": "runs/images/*/images.npy", "its checksums": "runs/images/*/cache.json"}),
    "evaluate": Job(evaluate, measured, {
        "features": "runs/features/*.safetensors", "their checksum": "runs/features/*.json",
        "record": "results/records/*/*.jsonl"}),
    "bench": Job(bench, measured, {
        "model": "runs/*/model.safetensors", "reference": "runs/*reference*.safetensors",
        "records of the bench": "results/records/*/*.jsonl"}),
    "tables": Job(build_tables, tabulated),
    "sample": Job(sample, drawn),
}  # fmt: skip


# what stays open, see README.md: a digit changed in a text is a digit; a run that did not end
OPEN = [f"a byte changed: {kind}" for kind in ("log", "record", "records of the bench")]
OPEN += ["little memory: bench"]


# running them, in processes forked from this one, which has imported everything


def forked(job: Job, folder: Path, spoil: Callable = lambda: None) -> list[int]:
    """The job's processes, started; what they say is in folder/said; spoil() is called in each first."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    children = []
    for rank in range(job.processes):
        child = os.fork()
        if not child:
            status = 1
            try:
                said = os.open(folder / "said", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
                os.dup2(said, 1), os.dup2(said, 2)
                sys.stdout = open(1, "w", encoding="utf-8", closefd=False)
                sys.stderr = open(2, "w", encoding="utf-8", closefd=False)
                os.environ |= {
                    "TRAFLOW_RUNS": str(folder / "runs"),
                    "TRAFLOW_RESULTS": str(folder / "results"),
                }
                if job.processes > 1:
                    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "MASTER_ADDR": "127.0.0.1"}
                    os.environ |= {"WORLD_SIZE": str(job.processes), "MASTER_PORT": str(port)}
                spoil()
                job.run(folder)
                status = 0
            except BaseException as error:
                line, status = cli._told(error, [])
                print(f"error: {line}", file=sys.stderr)
            finally:
                sys.stdout.flush(), sys.stderr.flush()
                os._exit(status)
        children.append(child)
    return children


def ended(children: list[int], seconds: float = 300) -> list[int]:
    """Exit statuses; what has not ended by then is killed."""
    statuses, limit = [], time.monotonic() + seconds
    for child in children:
        while not (found := os.waitpid(child, os.WNOHANG))[0]:
            time.sleep(0.01)
            if time.monotonic() > limit:
                os.kill(child, signal.SIGKILL)
        statuses.append(os.waitstatus_to_exitcode(found[1]))
    return statuses


def run(job: Job, folder: Path, spoil: Callable = lambda: None) -> tuple[int, str]:
    """The job to its end: its worst status, and the line of its error."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "said").unlink(missing_ok=True)
    status = max(map(abs, ended(forked(job, folder, spoil))))
    errors = re.findall(r"^error: (.*)$", (folder / "said").read_text(encoding="utf-8"), re.MULTILINE)
    return status, errors[-1] if errors else ""


class Count:
    """Of one fault: how often it was tried, and how that ended."""

    COLUMNS = (
        "fault",
        "tries",
        "survived",
        "refused clearly",
        "lost",
        "doubled",
        "executed",
        "unclear or wrong",
    )

    def __init__(self, fault: str):
        self.fault, self.tries, self.survived, self.refused = fault, 0, 0, 0
        self.lost, self.doubled, self.executed, self.wrong = 0, 0, 0, 0
        self.notes: list[str] = []

    def row(self) -> list:
        return [
            self.fault,
            self.tries,
            self.survived,
            self.refused,
            self.lost,
            self.doubled,
            self.executed,
            self.wrong,
        ]

    def ending(self, status: int, line: str, found, expected) -> None:
        """How one try ended: found: the result, expected: an undisturbed run's."""
        if status == 0 and found == expected:
            self.survived += 1
        elif status == 2 and re.search(r"/|\.\w", line):  # it names a file
            self.refused += 1
        else:
            keys = [row[0] for row in found] if isinstance(found, list) and found else []
            self.doubled += len(keys) != len({json.dumps(key) for key in keys})
            self.lost += status == 0 and isinstance(found, list) and len(found) < len(expected)
            self.wrong += 1
            self.notes.append(f"{self.fault}: {status} {line[:200]}")


class Faults:
    """All faults, tried in a folder; seconds of an undisturbed run and its result are found first."""

    def __init__(self, place: Path, seed: int = 0):
        torch.set_num_threads(1)
        self.place, self.dice, self.number = place, random.Random(seed), 0
        pictures = place / "pictures"
        for index in range(120):
            image_files.picture_of(pictures / f"{index:03d}.png", size=(64, 64), seed=index)
        os.environ |= {"FAULTS_PICTURES": str(pictures), "FAULTS_RECORDS": str(place / "records")}
        self.seconds: dict[str, float] = {}
        self.expected: dict[str, list] = {}

    def know(self, name: str) -> Job:
        """An undisturbed run, once."""
        if name == "tables" and not (self.place / "records").exists():
            self.know("bench")
            shutil.copytree(self.place / "whole bench" / "results", self.place / "records")
        if name not in self.expected:
            folder, start = self.place / f"whole {name}", time.monotonic()
            status, line = run(JOBS[name], folder)
            assert status == 0, f"{name}: {line}"
            self.seconds[name], self.expected[name] = time.monotonic() - start, JOBS[name].result(folder)
            assert self.expected[name]
        return JOBS[name]

    def fresh(self) -> Path:
        self.number += 1
        folder = self.place / f"try {self.number}"
        folder.mkdir()
        return folder

    def result(self, job: Job, folder: Path):
        try:
            return job.result(folder)
        except (ValueError, OSError) as error:
            return str(error)

    def killed(self, name: str, kills: int) -> Count:
        """SIGKILL at random moments, up to three times in one folder, and then the run to its end."""
        job, count = self.know(name), Count(f"SIGKILL: {name}")
        while count.tries < kills:
            folder = self.fresh()
            for _ in range(self.dice.randint(1, min(3, kills - count.tries))):
                children = forked(job, folder)
                time.sleep(self.dice.uniform(0, self.seconds[name]))
                for child in children:
                    os.kill(child, signal.SIGKILL)
                if -signal.SIGKILL in ended(children):
                    count.tries += 1
            before = count.survived + count.refused
            status, line = run(job, folder)
            count.ending(status, line, self.result(job, folder), self.expected[name])
            # every kill of the folder ends as its last run does
            ends = count.tries - count.survived - count.refused - count.wrong
            if count.survived + count.refused > before:
                count.survived += ends
            else:
                count.wrong += ends
            shutil.rmtree(folder)
        return count

    def damaged(self, name: str, kind: str, cut: bool, tries: int) -> Count:
        """A file cut off at random, or one byte of it changed, and then the run that reads it."""
        job, count = self.know(name), Count(f"{'cut off' if cut else 'a byte changed'}: {kind}")
        for _ in range(tries):
            folder = self.fresh()
            shutil.copytree(self.place / f"whole {name}", folder, dirs_exist_ok=True)
            if kind == "part of pairs":
                self.interrupted(job, name, folder)
            if kind in ("checkpoint", "pairs"):  # else nobody reads them again
                (folder / "out" / "student.safetensors").unlink()
            if kind in ("model", "reference"):
                shutil.rmtree(folder / "results")
            file = self.dice.choice(sorted(folder.glob(job.files[kind])))
            content = bytearray(file.read_bytes())
            place = self.dice.randrange(len(content))
            if cut:
                del content[place:]
            else:
                content[place] ^= 1 << self.dice.randrange(8)
            file.write_bytes(content)
            count.tries += 1
            status, line = run(job, folder)
            found = self.result(job, folder)
            if status == 0 and isinstance(found, str):  # read by whoever wants its content
                status, line = 2, found
            count.ending(status, line, found, self.expected[name])
            shutil.rmtree(folder)
        return count

    def interrupted(self, job: Job, name: str, folder: Path) -> None:
        """Parts of a computation that was killed."""
        pattern = next(iter(job.files.values()))
        shutil.rmtree(folder)
        folder.mkdir()
        while not list(folder.glob(pattern)):
            children = forked(job, folder)
            time.sleep(self.dice.uniform(0.3, 0.8) * self.seconds[name])
            os.kill(children[0], signal.SIGKILL)
            ended(children)

    def starved(self, name: str, fault: str, spoil: Callable, tries: int) -> Count:
        """A run that gets too little of something, and then one that has enough: it has to end as ever."""
        job, count = self.know(name), Count(f"{fault}: {name}")
        for _ in range(tries):
            folder = self.fresh()
            count.tries += 1
            status, line = run(job, folder, lambda: spoil(self.dice))
            if status == 2 and (fault == "little memory" or re.search(r"/|\.\w", line)):
                again, said = run(job, folder)
                if (again, self.result(job, folder)) == (0, self.expected[name]):
                    count.refused += 1
                else:
                    count.ending(1, f"{line} and then {said}", self.result(job, folder), self.expected[name])
            else:
                count.ending(status, line, self.result(job, folder), self.expected[name])
            shutil.rmtree(folder)
        return count

    def mounted(self, name: str, tries: int, read_only: bool) -> Count:
        """A disk that is too small, or may not be written; only as root, who may mount one."""
        fault = "a disk that may not be written" if read_only else "a full disk"
        job, count = self.know(name), Count(f"{fault}: {name}")
        for _ in range(tries):
            disk = self.fresh()
            size = self.dice.randrange(8, 200)
            kind = ["mount", "-t", "tmpfs", "-o", f"size={size}k", "none", str(disk)]
            if subprocess.run(kind, capture_output=True).returncode:
                break
            try:
                folder = disk / "run"
                folder.mkdir()
                if read_only:
                    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
                count.tries += 1
                with tempfile.TemporaryDirectory() as told:
                    moved = Job(lambda _, folder=folder: job.run(folder), job.result)

                    def there(folder=folder):
                        places = {
                            "TRAFLOW_RUNS": str(folder / "runs"),
                            "TRAFLOW_RESULTS": str(folder / "results"),
                        }
                        os.environ |= places

                    status, line = run(moved, Path(told), there)
                count.ending(status, line, self.result(job, folder), self.expected[name])
            finally:
                subprocess.run(["umount", str(disk)], check=True)
        return count

    def both(self, name: str, tries: int) -> Count:
        """Two runs of the same in the same folders, at once."""
        job, count = self.know(name), Count(f"two at once: {name}")
        for _ in range(tries):
            folder = self.fresh()
            children = forked(job, folder)
            time.sleep(self.dice.uniform(0, 0.1))
            statuses = ended(children + forked(job, folder))
            count.tries += 1
            line = (folder / "said").read_text(encoding="utf-8")[-300:]
            count.ending(max(map(abs, statuses)), line, self.result(job, folder), self.expected[name])
            shutil.rmtree(folder)
        return count

    def everything(self, kills: int, damages: int, others: int):
        """A Count of every fault; kills: SIGKILLs of each job, the others alike."""
        for name in JOBS:
            yield self.killed(name, kills)
        for name, job in JOBS.items():
            for kind in job.files:
                yield self.damaged(name, kind, True, damages)
                yield self.damaged(name, kind, False, damages)
        for name in ("training", "solving pairs", "caching images", "evaluate", "bench", "sample"):
            yield self.starved(name, "files may not grow", small_files, others)
            yield self.starved(name, "little memory", little_memory, others)
            yield self.mounted(name, others, read_only=False)
            yield self.mounted(name, 1, read_only=True)
        for name in ("training", "caching images", "evaluate", "bench", "tables"):
            yield self.both(name, others)


def small_files(dice: random.Random) -> None:
    limit = dice.randrange(100, 20_000)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))


def little_memory(dice: random.Random) -> None:
    used = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[0]) * resource.getpagesize()
    limit = used + dice.randrange(1, 30) * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def table(counts: list[Count]) -> str:
    total = Count("all")
    for name in ("tries", "survived", "refused", "lost", "doubled", "executed", "wrong"):
        setattr(total, name, sum(getattr(count, name) for count in counts))
    rows = [Count.COLUMNS, ["---"] * len(Count.COLUMNS), *(count.row() for count in [*counts, total])]
    return "".join(f"| {' | '.join(map(str, row))} |\n" for row in rows)


linux = pytest.mark.skipif(sys.platform != "linux", reason="forks, /proc and limits")


@pytest.fixture
def faults(tmp_path, monkeypatch):
    for name in ("FAULTS_PICTURES", "FAULTS_RECORDS"):
        monkeypatch.setenv(name, "")
    return Faults(tmp_path)


@linux
@pytest.mark.parametrize("name", ["training", "solving pairs", "caching images", "sample"])
def test_a_killed_run_ends_as_ever(faults, name):
    count = faults.killed(name, 1)
    assert count.tries == count.survived == 1, count.notes


@linux
@pytest.mark.parametrize("kind", ["checkpoint", "pairs"])
def test_a_changed_byte_is_never_taken(faults, kind):
    count = faults.damaged("training", kind, False, 1)
    assert not count.wrong, count.notes


@linux
def test_two_at_once_leave_one_record_each(faults):
    count = faults.both("evaluate", 1)
    assert count.survived == 1, count.notes


@linux
@pytest.mark.slow
def test_every_fault_ends_well(faults):
    counts = list(faults.everything(kills=8, damages=3, others=2))
    assert sum(count.tries for count in counts if count.fault.startswith("SIGKILL")) >= 60
    found = [count for count in counts if count.fault not in OPEN]
    assert not any(count.wrong or count.lost or count.doubled for count in found), [c.notes for c in found]


def main(kills: int, damages: int, others: int) -> None:
    sys.path.insert(0, str(Path(__file__).parent / "files"))
    import test_strangers

    counts = []
    with tempfile.TemporaryDirectory() as place:
        for count in Faults(Path(place)).everything(kills, damages, others):
            counts.append(count)
            print(*count.row(), *count.notes, sep=" | ", flush=True)
    counts += test_strangers.counted(Count)
    before, mark, rest = README.read_text(encoding="utf-8").partition("<!-- faults -->\n")
    _, end, after = rest.partition("<!-- /faults -->")
    README.write_text(before + mark + table(counts) + end + after, encoding="utf-8")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:4] or (10, 6, 3)))
