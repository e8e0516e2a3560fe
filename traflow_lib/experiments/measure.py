"""All metrics of one experiment, on one shared set of noise, saved as records.

Teacher, students and real data on the same footing.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property

import torch
from safetensors.torch import load_file
from torch import Tensor

from ..batch import labelled
from ..evaluation import cost, records
from ..evaluation.geometry import paired_rmse, self_consistency, straightness
from ..evaluation.records import Record
from ..evaluation.transport import mmd, sliced_wasserstein2, wasserstein2
from ..files import paths
from ..files.checksums import file_sha256
from ..files.locks import exclusively
from ..files.tensors import save_tensors
from ..jump import JumpMap
from ..nets.precision import DTYPES
from ..pairs import chunk, sample_labels, sample_noise
from ..solvers import solve
from ..teachers import VelocityField
from ..training.config import TrainConfig
from . import settings
from .experiment import Experiment
from .networks import Model
from .ruler import Ruler


class Measure:
    """Metrics of an Experiment, as its recipe's block `evaluate` says."""

    def __init__(self, experiment: Experiment):
        self.experiment, self.settings = experiment, experiment.recipe["evaluate"]
        self.ruler = Ruler(experiment)
        self._geometries: dict[tuple[str, int], dict[str, float]] = {}
        self.noise = sample_noise(self.settings["seed"], 0, self.settings["n"], experiment.shape)
        self.label = None  # the classes of the noise, of a class-conditional teacher
        if experiment.classes:
            self.label = sample_labels(self.settings["seed"], 0, self.settings["n"], experiment.classes)

    @cached_property
    def _reference(self) -> tuple[Tensor, int]:
        """The teacher's endpoints and calls, kept in runs/.

        An adaptive solver takes as long as many evaluations.
        """
        complete = settings.evaluation(self.experiment.recipe)
        deciding = {
            "teacher": self.experiment.teacher_settings(),
            **{key: complete[key] for key in ("n", "seed", "reference")},
        }
        dataset = paths.in_a_name(self.experiment.dataset)
        file = paths.runs() / f"{dataset}-reference-{settings.identity(deciding)}.safetensors"
        with exclusively(
            file.stem, f"the teacher's endpoints on {self.experiment.dataset}", self.experiment.models.say
        ):
            if not file.exists():
                x, nfe = self.solve(**self.settings["reference"])
                save_tensors(file, {"x": x, "nfe": torch.tensor(nfe)})
        kept = load_file(file)
        return kept["x"], int(kept["nfe"])

    @property
    def reference(self) -> Tensor:
        """xhat_0: the teacher's ODE endpoint of every noise, to the tolerance the recipe sets."""
        return self._reference[0]

    @cached_property
    def real(self) -> Tensor:
        """Real data to compare with: a fresh sample of a toy, or the images of the set (of the ruler)."""
        experiment = self.experiment
        return experiment.data(len(self.noise), seed=5) if experiment.is_toy else self.ruler.real

    @property
    def fd_name(self) -> str:
        """The name of the Frechet distance here."""
        return self.ruler.name

    def solve(self, **solver) -> tuple[Tensor, int]:
        """The teacher's samples by a solver, and the calls it took a sample.

        Of an adaptive solver the most over chunks.
        """
        field, precision = self.experiment.teacher(), self.settings.get("adaptive_precision")
        if precision and solver["method"] == "dopri5":
            field = VelocityField(field.net, precision)
        parts = [
            solve(labelled(field, label), noise, **solver)
            for noise, label in self._chunks(self.settings["n"])
        ]
        return torch.cat([part.x.cpu() for part in parts]), max(part.nfe for part in parts)

    @torch.no_grad()
    def sample(self, jump: JumpMap, steps: int, sampler: str = "jumps") -> Tensor:
        """The student's samples from the shared noise, in the recipe's precision.

        Sampler "jumps" or "renoised" (see JumpMap.sample).
        """
        renoise = torch.Generator().manual_seed(self.settings["seed"]) if sampler == "renoised" else None
        device, precision = self.experiment.device.type, self.experiment.precision
        with torch.autocast(device, DTYPES[precision], enabled=precision != "fp32"):
            parts = [
                JumpMap(jump.net, label).sample(noise, steps, renoise=renoise)
                for noise, label in self._chunks(self.settings["n"])
            ]
        return torch.cat([part.float().cpu() for part in parts])

    def _chunks(self, n: int) -> Iterator[tuple[Tensor, Tensor | None]]:
        """The first n of the shared noise, and their classes if there are any.

        They come in chunks on the experiment's device.
        """
        size = chunk(self.experiment.shape)
        for start in range(0, n, size):
            part, device = slice(start, min(start + size, n)), self.experiment.device
            yield self.noise[part].to(device), None if self.label is None else self.label[part].to(device)

    def metrics(self, x: Tensor) -> dict[str, float]:
        """The distances of samples x [N, ...] made from the shared noise."""
        paired = {"paired_rmse": paired_rmse(x, self.reference)}
        if not self.experiment.is_toy:
            return paired | ({self.ruler.name: self.ruler.distance(x)} if self.ruler.exists else {})
        small = self.settings.get("n_exact", 2000)
        return paired | {
            "sliced_w2": sliced_wasserstein2(x, self.real),
            "off_support": self.experiment.toy.off_support(x),
            "w2": wasserstein2(x[:small], self.real[:small]),
            "mmd": mmd(x[:small], self.real[:small]),
        }

    def teacher(self, **solver) -> Record:
        """Measure and record the teacher under one solver (arguments of solvers.solve)."""
        x, nfe = self._reference if solver == self.settings["reference"] else self.solve(**solver)
        values = {key: [value] for key, value in self.metrics(x).items()}
        seeds = [self.experiment.recipe["teacher"].get("seed", 0)]
        models = [] if self.experiment.is_exact else [self.experiment.model("teacher")]
        return self._record("teacher", nfe, solver["method"], values, seeds, models)

    def student(self, method: str, steps: int, seeds: list[int], sampler: str = "jumps") -> Record:
        """Measure and record one method at `steps` calls over its seeds."""
        values: dict[str, list[float]] = {}
        models = [self.experiment.model(method, seed, steps) for seed in seeds]
        for seed, model in zip(seeds, models):
            found = self.metrics(self.sample(JumpMap(model.net), steps, sampler))
            for key, value in (found | self._geometry(method, seed)).items():
                values.setdefault(key, []).append(value)
        return self._record(method, steps, sampler, values, seeds, models)

    def _geometry(self, method: str, seed: int) -> dict[str, float]:
        """Metrics of the student itself, whatever the number of calls; computed once."""
        if (method, seed) not in self._geometries:
            n, device = self.settings.get("n_geometry", 1000), self.experiment.device
            noise = self.noise[:n].to(device)
            label = None if self.label is None else self.label[:n].to(device)
            jump = JumpMap(self.experiment.student(method, seed, 8).net, label)
            path = jump.sample(noise, 8, keep_path=True)
            self._geometries[method, seed] = {
                "self_consistency": self_consistency(jump, noise),
                "straightness": straightness(path),
            }
        return self._geometries[method, seed]

    def halves(self) -> Record:
        """Record the distance between two halves of the real images (Ruler.halves)."""
        value, first, second = self.ruler.halves()
        counts = {"n_generated": first, "n_reference": second}
        return self._record("real data", 0, "halves", {self.ruler.name: [value]}, [0], **counts)

    def mirrored(self) -> Record:
        """Record the distance of half-mirrored real images to the real ones (Ruler.mirrored)."""
        value, n = self.ruler.mirrored(), len(self.ruler.real)
        counts = {"n_generated": n, "n_reference": n}
        return self._record("real data", 0, "half-mirrored", {self.ruler.name: [value]}, [0], **counts)

    def record_cost(self, method: str, milliseconds: list[float]) -> Record:
        """Record what a training step of this method took, in several runs."""
        values, runs = {"ms_per_step": milliseconds}, list(range(len(milliseconds)))
        return self._record(method, 0, "training", values, runs, n_generated=0, n_reference=0)

    def hash(self, method: str, seeds: list[int]) -> str:
        """Fingerprint of everything that decides a record's numbers.

        The models' settings and those of the evaluation.
        """
        experiment = self.experiment
        return settings.identity(
            settings.measurement(experiment.recipe, experiment.dataset, method, seeds, experiment.imported)
        )

    def _record(
        self,
        method: str,
        nfe: int,
        sampler: str,
        metrics: dict,
        seeds: list[int],
        models: Sequence[Model] = (),
        **counts,
    ) -> Record:
        """Save what was measured; models: those of the seeds; counts: of samples, where they are others."""
        experiment, recipe = self.experiment, self.experiment.recipe
        # an imported teacher and a closed form were not trained here
        trained = [model.header for model in models if model.was_trained]
        training = {}
        if trained:
            own = trained[0]["settings"]["train"]
            training = trained[0]["training"] | {key: own.get(key, "fp32") for key in ("batch", "precision")}
        net = models[0].net if models else None
        record = Record(
            recipe=recipe["recipe"],
            profile=recipe["profile"],
            dataset=experiment.dataset,
            method=method,
            nfe=nfe,
            sampler=sampler,
            metrics=metrics,
            seeds=seeds,
            split="fresh sample" if experiment.is_toy else recipe.get("data", {}).get("split", "all"),
            hash=self.hash(method, seeds),
            stand_in="stand_in_for" in recipe,
            teacher=experiment.imported and {key: experiment.imported[key] for key in ("net", "sha256")},
            ema=TrainConfig.of(own).decays[0] if trained else None,
            parameters=cost.parameters(net) if net else None,
            macs=cost.macs(net, experiment.shape) if net else None,
            training=training,
            seconds=sum(header["training"]["seconds"] for header in trained) if trained else None,
            checkpoint_sha256=[file_sha256(model.file) for model in models],
            **({"n_generated": len(self.noise)} | self._compared_with() | counts),
        )
        records.save(record)
        return record

    def _compared_with(self) -> dict:
        """How many real data samples are compared with, and the checksums of them and of the extractor."""
        if self.experiment.is_toy:
            return {"n_reference": len(self.noise)}
        if not self.ruler.exists:
            return {"n_reference": len(self.real), "data_sha256": self.experiment.images.sha256}
        statistics = self.ruler.statistics
        found = {"n_reference": statistics.n, "data_sha256": statistics.sha256}
        return found | {"extractor": self.ruler.extractor}
