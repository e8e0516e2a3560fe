"""Images to measure, as files hold them: generated from a checkpoint, of a data set, or in a folder."""

from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from .. import nets, objectives
from ..batch import labelled
from ..data import images, sample_files
from ..data.image_set import Images
from ..files.checksums import file_sha256
from ..files.chunks import Chunks
from ..files.processes import processes
from ..jump import JumpMap
from ..pairs import draw, sample_start
from ..solvers import CALLS_PER_STEP, solve
from ..teachers import VelocityField, load_network
from .cost import counting
from .feature_cache import BATCH, Features, collect
from .features import Extractor


class Generator:
    """A checkpoint of this kit or of a release, sampled by jumps or, with `solver`, as an ODE.

    Image i depends on (seed, i) alone; by dopri5 on its batch too, whose error sets the steps of all in it.
    sampler: "jumps" of a student, "renoised" of a consistency model; "euler" of a velocity, which is the same
    computation as jumps; else the solver. tol: dopri5's tolerance.
    """

    def __init__(self, file: Path, solver: str | None = None, tol: float = 1e-5):
        self.net, self.header = load_network(file)
        self.shape = nets.sample_shape(self.header["network"])
        if len(self.shape) != 3:
            raise ValueError(
                f"{file.name} makes no images; points in the plane are measured by the command bench"
            )
        self.sha256, self.tol = file_sha256(file), tol
        self.net = self.net.to(processes().device).requires_grad_(False)
        settings = self.header.get("settings", {})
        is_student = "objective" in settings or self.header.get("s_input")
        self.sampler = solver or (objectives.sampler(settings) if is_student else "euler")
        self.name = file.parent.name if file.stem == "model" else file.stem

    def __call__(self, seed: int, nfe: int, start: int, stop: int) -> tuple[Tensor, int]:
        """Images start..stop-1 [stop - start, C, H, W] in [-1, 1] on the CPU, and the calls an image took."""
        classes = getattr(self.net, "classes", 0)
        noise, label = sample_start(seed, start, stop, self.shape, classes, processes().device)
        with counting(self.net) as calls, torch.no_grad():
            if self.sampler in ("jumps", "renoised", "euler"):
                x = draw(JumpMap(self.net, label), self.sampler, seed, start, noise, nfe)
            else:
                field = labelled(VelocityField(self.net), label)
                x = solve(field, noise, method=self.sampler, **self._grid(nfe)).x
        return x.float().cpu(), sum(calls) // len(x)

    def _grid(self, nfe: int) -> dict:
        """The solver's arguments for a number of calls, which dopri5 chooses itself."""
        if self.sampler == "dopri5":
            return {"tol": self.tol}
        each = CALLS_PER_STEP.get(self.sampler, 1)
        if nfe % each:
            raise ValueError(
                f"{self.sampler} makes {each} calls a step, so {nfe} calls are no whole number of steps"
            )
        return {"steps": nfe // each}


def generated(
    generator: Generator, extractor: Extractor, n: int, seed: int, nfe: int, batch: int = BATCH, **options
) -> Features:
    """Features of n images of a checkpoint, which go from the network into the extractor.

    options: those of feature_cache.collect.
    """
    adaptive = generator.sampler == "dopri5"
    facts = {
        "source": "generated",
        "what": f"{generator.name}, {generator.sampler} {nfe}, seed {seed}",
        "checkpoint_sha256": generator.sha256,
        "sampler": generator.sampler,
        "tol": generator.tol if adaptive else None,
        "nfe": nfe,
        "seed": seed,
    } | ({"batch": batch} if adaptive else {})

    chunks = Chunks(batch)

    def pixels(start: int, stop: int) -> tuple[Tensor, int]:
        x, calls = zip(*chunks.of(partial(generator, seed, nfe), start, stop))
        return extractor.pixels(torch.cat(x)), max(calls)

    return collect(pixels, n, facts, extractor, batch=batch, **options)


def reference(dataset: str, split: str, extractor: Extractor, n: int | None = None, **options) -> Features:
    """Features of a data set's split, or of its first n images; computed from the files on disk, once."""
    facts = {"source": dataset, "what": f"{dataset} ({split})", "split": split}
    return _of_images(images.load(dataset, split)[0], facts, extractor, n, options)


def of_folder(place: Path, extractor: Extractor, n: int | None = None, **options) -> Features:
    """Features of the images in a folder or a file (sample_files.read), or of the first n; never resized."""
    if n is not None and n < 1:
        raise ValueError(f"{n} images to take of {place}; at least 1")
    facts = {"source": "folder", "what": f"the images in {place.resolve().name}"}
    return _of_images(sample_files.read(place), facts, extractor, n, options)


def _of_images(found: Images, facts: dict, extractor: Extractor, n: int | None, options: dict) -> Features:
    """Features of images that are known by their pixels, whatever their names."""
    facts = facts | {"data_sha256": found.sha256}
    n = min(n or len(found), len(found))
    return collect(
        lambda start, stop: (extractor.pixels(found[start:stop]), 0), n, facts, extractor, **options
    )
