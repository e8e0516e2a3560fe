"""How far a student's samples are from pictures, and the records of it."""

from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Integral

import torch
from torch import Tensor

from .. import objectives
from ..data import images, stand_ins
from ..evaluation import records
from ..evaluation.features import Extractor, random_network, to_uint8
from ..evaluation.frechet import Statistics, feature_distance, frechet_distance, mean_and_cov
from ..evaluation.models import Model, recorded
from ..evaluation.records import Record
from ..evaluation.uncertainty import bootstrap
from ..files.checksums import fingerprint
from ..files.processes import processes
from .given import whole_number

# fields of a record that decide its number
DECIDING = ["data_sha256", "extractor", "mode", "checkpoint_sha256", "sampler", "nfe"]
DECIDING += ["n_generated", "n_reference"]


@dataclass(frozen=True)
class Evaluation:
    """What Student.evaluate found: the distance `metric` of n samples to n pictures, by number of calls.

    halves: that between two halves of the pictures, n / 2 each.
    """

    metric: str
    n: int
    halves: float
    by_calls: dict[int, float]

    def __str__(self) -> str:
        lines = [f"{self.metric}, {self.n:,} samples"]
        lines += [f"{calls} call{'s' * (calls > 1)}: {value:.4g}" for calls, value in self.by_calls.items()]
        return "\n".join([*lines, f"halves of the data: {self.halves:.4g}"])


def evaluation(student, data, calls: Iterable[int], n: int, extractor: Extractor | None) -> Evaluation:
    """What Student.evaluate documents."""
    found = images.as_images(data)
    if isinstance(calls, Integral):
        raise ValueError(f"calls is {calls}: a tuple of them, ({calls},) for instance")
    if not (calls := tuple(calls)):
        raise ValueError("calls is empty: at least one number of network calls, (1,) for instance")
    if tuple(found.shape[1:]) != student.shape:
        raise ValueError(f"the data have samples of {tuple(found.shape[1:])}, the student of {student.shape}")
    see = extractor or random_network(student.shape[0], next(student.net.parameters()).device)
    n = min(whole_number("n", n, 4), whole_number("number of pictures", len(found), 4))
    order = torch.randperm(len(found), generator=torch.Generator().manual_seed(0))[:n].sort().values
    real = see(to_uint8(found[order]))["features"]
    halves = real[torch.randperm(n, generator=torch.Generator().manual_seed(1))].chunk(2)
    made = {number: see(to_uint8(student.sample(n, number)))["features"] for number in calls}
    by_calls = {number: feature_distance(fake, real) for number, fake in made.items()}
    result = Evaluation(see.metric("fd"), n, feature_distance(*halves), by_calls)
    if student.file and student.file.exists() and processes().is_main_process:
        named = isinstance(data, str) and not images.folder_in(data)
        about = {
            "recipe": f"evaluate-student-{see.name}-{see.mode}-{n}",
            # a folder's name tells neither what is in it nor in which size
            "dataset": data if named else f"pictures-{found.sha256[:10]}",
            "stand_in": named and stand_ins.parse(data) is not None,
            "data_sha256": found.sha256,
            "extractor": f"{see.name} {see.sha256}",
            "mode": f"{see.mode}, uint8",
        }
        _file(student, result, about, made, Statistics.of(real))
    return result


def _file(student, result: Evaluation, about: dict, made: dict[int, Tensor], real: Statistics) -> None:
    """Save records of what was found; about: fields of all; made: features by calls; real: the pictures'."""
    n = {"n_generated": result.n, "n_reference": result.n}
    own = n | recorded([Model(student.net, student.header, student.file)], None)
    own |= {"method": student.name, "sampler": objectives.sampler(student.header.get("settings", {}))}
    halves = {"n_generated": result.n - result.n // 2, "n_reference": result.n // 2}
    lines = [(halves | {"method": "real data", "sampler": "halves", "nfe": 0}, result.halves)]
    for calls, features in made.items():
        error = bootstrap(lambda x: frechet_distance(*mean_and_cov(x), real.mean, real.cov), features)
        lines.append((own | {"nfe": calls, "errors": {result.metric: [error]}}, result.by_calls[calls]))
    for facts, value in lines:
        known = about | facts | {"profile": "students", "split": "all", "seeds": [0]}
        name = fingerprint([known.get(key) for key in DECIDING])
        records.save_beside_others(Record(**known, metrics={result.metric: [value]}, hash=name))
