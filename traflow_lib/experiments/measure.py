"""All metrics of one experiment, on one shared set of noise, saved as records."""

from collections.abc import Sequence
from functools import cached_property

import torch
from torch import Tensor

from ..batch import labelled
from ..evaluation import records
from ..evaluation.geometry import paired_rmse, self_consistency, straightness
from ..evaluation.models import Model, recorded
from ..evaluation.records import Record
from ..evaluation.transport import mmd, sliced_wasserstein2, wasserstein2
from ..files import paths
from ..files.checks import finite
from ..files.chunks import Chunks, chunk
from ..files.locks import exclusively
from ..files.tensors import load_tensors, save_tensors
from ..jump import JumpMap
from ..nets.precision import DTYPES
from ..pairs import draw, sample_start
from ..solvers import solve
from ..teachers import VelocityField
from . import settings
from .experiment import Experiment
from .extractors import Ruler


class Measure:
    """Metrics of an Experiment, as its recipe's block `evaluate` says."""

    def __init__(self, experiment: Experiment):
        self.experiment, self.settings = experiment, experiment.recipe["evaluate"]
        # a data set without classes has no classifier, and a toy needs none
        self.has_ruler, self.ruler = "classifier" in experiment.recipe, Ruler(experiment)
        self.chunks = Chunks(chunk(experiment.shape))
        self._geometries: dict[tuple[str, int], dict[str, float]] = {}
        # the noise and, of a class-conditional teacher, its classes
        self.noise, self.label = sample_start(
            self.settings["seed"], 0, self.settings["n"], experiment.shape, experiment.classes, "cpu"
        )

    @cached_property
    def _reference(self) -> tuple[Tensor, int]:
        """The teacher's endpoints and calls, kept in runs/: an adaptive solver takes long."""
        experiment, complete = self.experiment, settings.evaluation(self.experiment.recipe)
        deciding = {key: complete[key] for key in ("n", "seed", "reference")}
        identity = settings.identity({"teacher": experiment.teacher_settings()} | deciding)
        name = f"{paths.in_a_name(experiment.dataset)}-reference-{identity}"
        file = paths.runs() / f"{name}.safetensors"
        with exclusively(name, f"the teacher's endpoints on {experiment.dataset}"):
            if not file.exists():
                x, nfe = self.solve(**self.settings["reference"])
                save_tensors(file, {"x": x, "nfe": torch.tensor(nfe)})
        kept = load_tensors(file)
        return kept["x"], int(kept["nfe"])

    @property
    def reference(self) -> Tensor:
        """xhat_0: the teacher's ODE endpoint of every noise, to the tolerance the recipe sets."""
        return self._reference[0]

    @cached_property
    def _classes(self) -> Tensor:
        """What the classifier takes the teacher's endpoints for, [N]."""
        return self.ruler.classes(self.reference)

    @cached_property
    def real(self) -> Tensor:
        """Real data to compare with: a fresh sample of a toy, or the ruler's images of the set."""
        return self.experiment.data(len(self.noise), seed=5) if self.experiment.toy else self.ruler.real

    @property
    def fd_name(self) -> str:
        """The name of the Frechet distance here."""
        return self.ruler.extractor.metric("fd")

    def solve(self, **solver) -> tuple[Tensor, int]:
        """The teacher's samples by a solver, and the calls a sample took: of an adaptive one, the most."""
        field, precision = self.experiment.teacher(), self.settings.get("adaptive_precision")
        if precision and solver["method"] == "dopri5":
            field = VelocityField(field.net, precision)

        def solved(start: int, stop: int) -> tuple[Tensor, int]:
            noise, label = self._noise(start, stop)
            solution = solve(labelled(field, label), noise, **solver)
            return solution.x.cpu(), solution.nfe

        x, nfe = zip(*self.chunks.of(solved, 0, len(self.noise)))
        return finite(torch.cat(x)), max(nfe)

    @torch.no_grad()
    def sample(self, jump: JumpMap, steps: int, sampler: str = "jumps") -> Tensor:
        """The student's samples from the shared noise by pairs.draw, in the recipe's precision."""
        device, precision = self.experiment.device.type, self.experiment.precision

        def drawn(start: int, stop: int) -> Tensor:
            noise, label = self._noise(start, stop)
            student = JumpMap(jump.net, label)
            return draw(student, sampler, self.settings["seed"], start, noise, steps).float().cpu()

        with torch.autocast(device, DTYPES[precision], enabled=precision != "fp32"):
            return finite(torch.cat([*self.chunks.of(drawn, 0, len(self.noise))]))

    def _noise(self, start: int, stop: int) -> tuple[Tensor, Tensor | None]:
        """A part of the shared noise on the device, and its classes if any."""
        device = self.experiment.device
        label = None if self.label is None else self.label[start:stop].to(device)
        return self.noise[start:stop].to(device), label

    def metrics(self, x: Tensor) -> dict[str, float]:
        """The distances of samples x [N, ...] made from the shared noise."""
        paired, toy = {"paired_rmse": paired_rmse(x, self.reference)}, self.experiment.toy
        if not toy:
            return paired | (self.ruler.scores(x, self._classes) if self.has_ruler else {})
        small = self.settings.get("n_exact", 2000)
        return paired | {
            "sliced_w2": sliced_wasserstein2(x, self.real),
            "off_support": toy.off_support(x),
            "w2": wasserstein2(x[:small], self.real[:small]),
            "mmd": mmd(x[:small], self.real[:small]),
        }

    def teacher(self, **solver) -> Record:
        """Measure and record the teacher under one solver (arguments of solvers.solve)."""
        x, nfe = self._reference if solver == self.settings["reference"] else self.solve(**solver)
        values = {key: [value] for key, value in self.metrics(x).items()}
        seeds = [self.experiment.recipe["teacher"].get("seed", 0)]
        models = [] if self.experiment.is_exact else [self.experiment.model("teacher")]
        batch = chunk(self.experiment.shape) if solver["method"] == "dopri5" else None
        return self._record("teacher", nfe, solver["method"], values, seeds, models, batch=batch)

    def student(self, method: str, steps: int, seeds: list[int], sampler: str = "jumps") -> Record:
        """Measure and record one method at `steps` calls over its seeds."""
        values: dict[str, list[float]] = {}
        models = [self.experiment.model(method, seed, steps) for seed in seeds]
        for seed, model in zip(seeds, models):
            found = self.metrics(self.sample(JumpMap(model.net), steps, sampler))
            if sampler == "renoised" and steps > 1:
                del found["paired_rmse"]  # fresh noise has made another sample of it
            geometry = {} if sampler == "renoised" else self._geometry(method, seed)
            for key, value in (found | geometry).items():
                values.setdefault(key, []).append(value)
        return self._record(method, steps, sampler, values, seeds, models)

    def _geometry(self, method: str, seed: int) -> dict[str, float]:
        """Metrics of the student, computed once; none where each number of calls has its own network."""
        if self.experiment.student_settings(method, seed)[-1]["calls"]:
            return {}
        if (method, seed) not in self._geometries:
            n = min(self.settings.get("n_geometry", 1000), len(self.noise))
            noise, label = self._noise(0, n)
            jump = JumpMap(self.experiment.student(method, seed, 8).net, label)
            self._geometries[method, seed] = {
                "self_consistency": self_consistency(jump, noise),
                "straightness": straightness(jump.sample(noise, 8, keep_path=True)),
            }
        return self._geometries[method, seed]

    def halves(self) -> Record:
        """Record the distance between two halves of the real images (Ruler.halves)."""
        return self._of_data("halves", *self.ruler.halves())

    def mirrored(self) -> Record:
        """Record the distance of half-mirrored real images to the real ones (Ruler.mirrored)."""
        return self._of_data("half-mirrored", self.ruler.mirrored(), len(self.real), len(self.real))

    def _of_data(self, sampler: str, found: dict[str, float], n: int, n_reference: int) -> Record:
        values = {key: [value] for key, value in found.items()}
        return self._record("real data", 0, sampler, values, [0], n_generated=n, n_reference=n_reference)

    def record_cost(self, method: str, milliseconds: list[float]) -> Record:
        """Record what a training step of this method took, in several runs."""
        values, runs = {"ms_per_step": milliseconds}, list(range(len(milliseconds)))
        return self._record(method, 0, "training", values, runs, n_generated=0, n_reference=0)

    def hash(self, method: str, seeds: list[int]) -> str:
        """Fingerprint of everything that decides a record's numbers: settings of models and evaluation."""
        own = self.experiment
        return settings.identity(settings.measurement(own.recipe, own.dataset, method, seeds, own.imported))

    def _record(
        self,
        method: str,
        nfe: int,
        sampler: str,
        metrics: dict,
        seeds: list[int],
        models: Sequence[Model] = (),
        **others,
    ) -> Record:
        """Save what was measured; models: those of the seeds; others: fields that differ from the usual."""
        experiment, recipe = self.experiment, self.experiment.recipe
        record = Record(
            recipe=recipe["recipe"],
            profile=recipe["profile"],
            dataset=experiment.dataset,
            method=method,
            nfe=nfe,
            sampler=sampler,
            metrics=metrics,
            seeds=seeds,
            split="fresh sample" if experiment.toy else recipe.get("data", {}).get("split", "all"),
            hash=self.hash(method, seeds),
            stand_in="stand_in_for" in recipe,
            teacher=experiment.imported and {key: experiment.imported[key] for key in ("net", "sha256")},
            **recorded(models, experiment.shape),
            **({"n_generated": len(self.noise)} | self._compared_with() | others),
        )
        records.save(record)
        return record

    def _compared_with(self) -> dict:
        """How many real data samples are compared with, and the checksums of them and of the extractor."""
        if self.experiment.toy:
            return {"n_reference": len(self.noise)}
        if not self.has_ruler:
            return {"n_reference": len(self.real), "data_sha256": self.experiment.images.sha256}
        real, see = self.ruler.statistics, self.ruler.extractor
        return {"n_reference": real.n, "data_sha256": real.sha256, "extractor": f"{see.name} {see.sha256}"}
