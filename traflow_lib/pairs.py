"""Teacher pairs (x_1, xhat_0): noise, what the teacher's ODE makes of it, and the path between if wanted.

Two sources with one interface, `.batch(n) -> Batch`: PairCache draws from pairs solved beforehand,
OnlinePairs solves fresh ones.
"""

import json
from functools import partial
from itertools import count
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .batch import Batch, labelled
from .files.checksums import fingerprint, tensor_sha256
from .files.chunks import Chunks, chunk
from .files.log import log
from .files.parts import in_parts
from .files.tensors import load_tensors, read_facts, save_tensors
from .jump import JumpMap
from .randomness import Draws, to_device
from .solvers import solve


def sample_noise(seed: int, start: int, stop: int, shape: tuple, call: int = 0) -> Tensor:
    """Standard normal x_1 [stop - start, *shape] of samples start..stop-1, each of (seed, i) alone.

    call: other noise for the same samples.
    """
    more = (2, call) if call else ()
    keys = [(seed, i, *more) for i in range(start, stop)]
    rows = [np.random.default_rng(key).standard_normal(shape, dtype=np.float32) for key in keys]
    return torch.from_numpy(np.stack(rows)) if rows else torch.empty(0, *shape)


def sample_labels(seed: int, start: int, stop: int, classes: int) -> Tensor:
    """Classes of samples start..stop-1, [stop - start], each of (seed, i) alone, as the noise."""
    drawn = [np.random.default_rng((seed, i, 1)).integers(classes) for i in range(start, stop)]
    return torch.tensor(drawn, dtype=torch.int64)


def sample_start(
    seed: int, start: int, stop: int, shape: tuple, classes: int, device: torch.device | str
) -> tuple[Tensor, Tensor | None]:
    """x_1 of samples start..stop-1 and, of a class-conditional flow, their classes, on a device."""
    label = sample_labels(seed, start, stop, classes).to(device) if classes else None
    return sample_noise(seed, start, stop, shape).to(device), label


def draw(jump: JumpMap, sampler: str, seed: int, start: int, noise: Tensor, steps: int) -> Tensor:
    """A student's samples from the noise [B, ...] of the samples start, start + 1, ... of a seed.

    sampler: "jumps", or "renoised", whose fresh noise depends on (seed, i) too (see JumpMap.sample).
    """
    span = seed, start, start + len(noise), tuple(noise.shape[1:])
    fresh = (sample_noise(*span, call).to(noise) for call in count(1))
    return jump.sample(noise, steps, renoise=partial(next, fresh) if sampler == "renoised" else None)


class PairCache:
    """Pairs in memory, drawn with replacement: x1, x0 [N, ...], maybe path [N, K + 1, ...], label [N]."""

    def __init__(self, x1: Tensor, x0: Tensor, path: Tensor | None = None, label: Tensor | None = None):
        self.x1, self.x0, self.path, self.label = x1, x0, path, label

    def __len__(self) -> int:
        return len(self.x1)

    def batch(
        self, n: int, path: bool = True, label: Tensor | None = None, draws: Draws | None = None
    ) -> Batch:
        """n random pairs, of the classes `label` [n] if given, without their paths if path=False.

        draws: of the training step, torch's own generator if None.
        """
        draws = draws or Draws()
        index = draws.integers(0, len(self), n) if label is None else self._of_class(label, draws)
        label = None if self.label is None else self.label[index]
        index = to_device(index, self.x1.device)
        states = self.path[index].float() if path and self.path is not None else None
        return Batch(self.x1[index], self.x0[index], states, label=label, draws=draws)

    def _of_class(self, label: Tensor, draws: Draws) -> Tensor:
        assert self.label is not None
        counts = self.label.bincount(minlength=int(label.max()) + 1)
        if (counts[label] == 0).any():
            missing = label[counts[label] == 0][0].item()
            raise ValueError(f"there are no pairs of class {missing}; solve more pairs than {len(self)}")
        position = (draws.uniform(len(label)) * counts[label]).long()
        return self.label.argsort()[(counts.cumsum(0) - counts)[label] + position]

    def near(self, device: torch.device | str) -> "PairCache":
        """The pairs on a GPU, so that no step copies any, if they take at most half of its free memory.

        Labels stay on the CPU, where pairs are drawn; elsewhere the pairs are as they were.
        """
        states = {name: value for name, value in self._tensors().items() if name != "label"}
        if torch.device(device).type != "cuda":
            return self
        if 2 * sum(value.nbytes for value in states.values()) > torch.cuda.mem_get_info(device)[0]:
            return self
        return PairCache(**{name: value.to(device) for name, value in states.items()}, label=self.label)

    def first(self, n: int) -> "PairCache":
        """The first n pairs, without copying."""
        return PairCache(**{name: value[:n] for name, value in self._tensors().items()})

    def _tensors(self) -> dict[str, Tensor]:
        return {name: value for name, value in vars(self).items() if value is not None}

    @property
    def sha256(self) -> str:
        """Checksum of all that the pairs hold."""
        return fingerprint({name: tensor_sha256(value) for name, value in self._tensors().items()})

    def save(self, file: Path, facts: dict | None = None) -> None:
        """Write the pairs as safetensors, and in its header what is to be known of them (JSON-able)."""
        save_tensors(file, self._tensors(), {"facts": json.dumps(facts or {})})

    @classmethod
    def load(cls, file: Path) -> "PairCache":
        """Read what save wrote; ValueError names a file that is damaged or holds something else."""
        tensors = load_tensors(file)
        if not {"x1", "x0"} <= set(tensors) <= {"x1", "x0", "path", "label"}:
            raise ValueError(f"{file} holds {', '.join(sorted(tensors)) or 'nothing'}, no pairs; delete it")
        counts = {len(value) if value.ndim else 0 for value in tensors.values()}
        if len(counts) > 1 or tensors["x1"].shape != tensors["x0"].shape:
            raise ValueError(f"{file} holds pairs of unequal shapes or numbers; delete it")
        return cls(**tensors)

    @staticmethod
    def facts(file: Path) -> dict:
        """What save was told; ValueError names a file that is damaged."""
        try:
            facts = json.loads(read_facts(file).get("facts", "{}"))
        except (json.JSONDecodeError, RecursionError):
            facts = None
        if not isinstance(facts, dict):
            raise ValueError(f"{file} is no file of pairs: its header says nothing of them; delete it")
        return facts


class OnlinePairs:
    """Fresh pairs from the teacher at every call, as the paper does it; costs nfe teacher calls a sample."""

    def __init__(self, teacher, shape: tuple, device: torch.device | str = "cpu", classes: int = 0, **solver):
        self.teacher, self.shape, self.device = teacher, tuple(shape), device
        self.classes, self.solver = classes, solver

    def batch(
        self, n: int, path: bool = True, label: Tensor | None = None, draws: Draws | None = None
    ) -> Batch:
        """n fresh pairs, of the classes `label` [n] if given, else of random ones where there are classes."""
        draws = draws or Draws()
        noise = to_device(draws.normal(n, self.shape), self.device)
        if label is None and self.classes:
            label = draws.integers(0, self.classes, n)
        label = None if label is None else to_device(label, self.device)
        solution = solve(labelled(self.teacher, label), noise, keep_path=path, **self.solver)
        states = None if solution.path is None else solution.path.flip(0).transpose(0, 1)
        return Batch(noise, solution.x, states, label=label, draws=draws)


def make_pairs(  # noqa: PLR0913 - what decides the pairs, and where they are kept
    teacher,
    n: int,
    shape: tuple,
    seed: int,
    *,
    keep_path: bool = False,
    batch: int | None = None,
    device: torch.device | str = "cpu",
    classes: int = 0,
    file: Path | None = None,
    facts: dict | None = None,
    **solver,
) -> PairCache:
    """Solve n pairs from time 1 to 0, pair i from (seed, i) alone; by dopri5 its batch sets its steps, too.

    Args:
        teacher: the velocity field.
        n: how many.
        shape: of a sample, without the batch.
        seed: of the noise.
        keep_path: whether every grid state is kept. Of images in float16: values stay within a few units, and
            rounding is far below the solver's error.
        batch: samples solved at a time.
        device: where the teacher is.
        classes: of a conditional teacher.
        file: where the pairs are kept, and finished batches until all are there (files.parts).
        facts: what the file is to say of them.
        solver: as in solvers.solve (method=, steps= or tol=).
    """
    if n < 1 or seed < 0:
        raise ValueError(f"n is {n} and seed {seed}: at least 1 pair, and a seed of at least 0")
    batch = batch or chunk(shape)
    chunks = Chunks(batch)

    def solved(start: int, stop: int) -> dict[str, Tensor]:
        noise, label = sample_start(seed, start, stop, shape, classes, device)
        solution = solve(labelled(teacher, label), noise, keep_path=keep_path, **solver)
        tensors = {"x1": noise, "x0": solution.x}
        if solution.path is not None:
            path = solution.path.flip(0).transpose(0, 1)
            tensors["path"] = path.half() if len(shape) > 1 else path
        if label is not None:
            tensors["label"] = label
        return {name: tensor.cpu() for name, tensor in tensors.items()}

    def joined(parts: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}

    if file is None:
        return PairCache(**joined([*chunks.of(solved, 0, n)]))
    in_parts(
        file.with_suffix(".parts"), n, batch,
        lambda start, stop: joined([*chunks.of(solved, start, stop)]),
        lambda parts: PairCache(**joined(parts)).save(file, facts),
    )  # fmt: skip
    return PairCache.load(file)


def pairs_of(
    teacher,
    own: dict,
    shape: tuple,
    device: torch.device | str,
    classes: int,
    *,
    file: Path,
    title: str,
    facts: dict | None = None,
) -> PairCache | OnlinePairs:
    """The pairs that settings ask for: n, seed, online, and the solver's method, steps or tol.

    They are those in `file`, solved now (with their paths) if it is not there; with `online` fresh ones.
    title: whose they are, to be said; the others: as in make_pairs.
    """
    solver: dict = {key: own.get(key) for key in ("method", "steps", "tol")}
    if own["online"]:
        return OnlinePairs(teacher, shape, device, classes, **solver)
    if file.exists():
        return PairCache.load(file)
    log.info(f"{title}: solving {own['n']:,} teacher pairs")
    solver |= {"keep_path": True, "device": device, "classes": classes, "file": file, "facts": facts}
    return make_pairs(teacher, own["n"], shape, own["seed"], **solver)
