"""All metrics of one experiment, on one shared set of noise, saved as records.

Teacher, students and real data on the same footing.
"""

from collections.abc import Iterator
from contextlib import nullcontext
from functools import cached_property

import torch
from safetensors.torch import load_file
from torch import Tensor

from ..data.images import from_uint8
from ..evaluation import cost, records
from ..evaluation.features import to_uint8
from ..evaluation.frechet import Statistics, feature_distance, frechet_distance, mean_and_cov
from ..evaluation.geometry import paired_rmse, self_consistency, straightness
from ..evaluation.records import Record
from ..evaluation.transport import mmd, sliced_wasserstein2, wasserstein2
from ..files import paths
from ..files.checksums import file_sha256
from ..files.locks import exclusively
from ..files.tensors import save_tensors
from ..jump import JumpMap
from ..nets.precision import DTYPES, full_float32
from ..pairs import chunk, labelled, sample_labels, sample_noise
from ..solvers import solve
from ..teachers import VelocityField
from ..training.config import TrainConfig
from . import settings
from .experiment import Experiment


class Measure:
    """Metrics of an Experiment; recipe block `evaluate`.

    N, seed (of the noise), reference (a solver for the teacher's endpoint).
    """

    def __init__(self, experiment: Experiment):
        self.experiment, self.settings = experiment, experiment.recipe["evaluate"]
        self._geometries: dict[tuple[str, int], dict[str, float]] = {}
        self.noise = sample_noise(self.settings["seed"], 0, self.settings["n"], experiment.shape)
        self.label = (
            sample_labels(self.settings["seed"], 0, self.settings["n"], experiment.classes)
            if experiment.classes
            else None
        )

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
        file = paths.runs() / f"{self.experiment.dataset}-reference-{settings.identity(deciding)}.safetensors"
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
        """Real data to compare with: a fresh sample of a toy, or the images of the set.

        Of those the first `n_reference` if the recipe says so.
        """
        return (
            self.experiment.data(len(self.noise), seed=5)
            if self.experiment.is_toy
            else self.experiment.images[: self.settings.get("n_reference")]
        )

    @cached_property
    def real_features(self) -> Tensor:
        """The classifier's features [N, D] of the real images."""
        return self.experiment.classifier().features(self.real)

    @cached_property
    def real_statistics(self) -> Statistics:
        """Mean and covariance of the real images' features.

        Committed ones where there are any, and then no image is needed.
        """
        recipe, dataset = self.experiment.recipe, self.experiment.dataset
        self.experiment.classifier()
        extractor = file_sha256(self.experiment.files["classifier"])
        deciding = {
            **settings.data(recipe, dataset),
            "flip": False,
            "n": self.settings.get("n_reference"),
            "classifier": extractor,
        }
        name = f"{dataset}-statistics-{settings.identity(deciding)}.safetensors"
        for folder in (paths.committed("statistics"), paths.runs()):
            if (folder / name).exists():
                return Statistics.load(folder / name)
        found = Statistics(*mean_and_cov(self.real_features), len(self.real), self.experiment.images.sha256)
        found.save(paths.runs() / name)
        return found

    @property
    def fd_name(self) -> str:
        """The name of the Frechet distance here: FD, the data set, the extractor, and "uint8" for 8 bits."""
        return f"fd-{self.experiment.dataset}-cnn" + "-uint8" * self.settings.get("as_files", False)

    def solve(self, **solver) -> tuple[Tensor, int]:
        """The teacher's samples by a solver, and the calls it took a sample.

        Of an adaptive solver the most over chunks.
        """
        field, precision = self.experiment.teacher(), self.settings.get("adaptive_precision")
        if precision and solver["method"] == "dopri5":
            field = VelocityField(field.net, precision)
        with full_float32() if solver["method"] == "dopri5" else nullcontext():
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
            if not self._has_extractor:  # nothing to make features with: a data set without classes
                return paired
            seen = from_uint8(to_uint8(x)) if self.settings.get("as_files") else x
            return paired | {self.fd_name: self._distance(self.experiment.classifier().features(seen))}
        small = self.settings.get("n_exact", 2000)
        return paired | {
            "sliced_w2": sliced_wasserstein2(x, self.real),
            "off_support": self.experiment.toy.off_support(x),
            "w2": wasserstein2(x[:small], self.real[:small]),
            "mmd": mmd(x[:small], self.real[:small]),
        }

    def _distance(self, features: Tensor) -> float:
        return frechet_distance(*mean_and_cov(features), self.real_statistics.mean, self.real_statistics.cov)

    def teacher(self, **solver) -> Record:
        """Measure and record the teacher under one solver (arguments of solvers.solve)."""
        x, nfe = self._reference if solver == self.settings["reference"] else self.solve(**solver)
        values = {key: [value] for key, value in self.metrics(x).items()}
        return self._record(
            "teacher",
            nfe,
            solver["method"],
            values,
            [self.experiment.recipe["teacher"].get("seed", 0)],
            ["teacher"],
        )

    def student(self, method: str, steps: int, seeds: list[int], sampler: str = "jumps") -> Record:
        """Measure and record one method at `steps` calls over its seeds."""
        values: dict[str, list[float]] = {}
        for seed in seeds:
            geometry = self._geometry(method, seed)
            jump = self.experiment.student(
                method, seed, steps
            )  # last, so that the experiment's header and file are this student's
            for key, value in (self.metrics(self.sample(jump, steps, sampler)) | geometry).items():
                values.setdefault(key, []).append(value)
        return self._record(method, steps, sampler, values, seeds, [f"{method}-seed{seed}" for seed in seeds])

    def _geometry(self, method: str, seed: int) -> dict[str, float]:
        """Metrics of the student itself, whatever the number of calls; computed once."""
        if (method, seed) not in self._geometries:
            n, device = self.settings.get("n_geometry", 1000), self.experiment.device
            noise, label = (
                self.noise[:n].to(device),
                None if self.label is None else self.label[:n].to(device),
            )
            jump = JumpMap(self.experiment.student(method, seed, 8).net, label)
            path = jump.sample(noise, 8, keep_path=True)
            self._geometries[method, seed] = {
                "self_consistency": self_consistency(jump, noise),
                "straightness": straightness(path),
            }
        return self._geometries[method, seed]

    def halves(self) -> Record:
        """FD between two random halves of the real images: a perfect generator of that size scores it."""
        order = torch.randperm(len(self.real), generator=torch.Generator().manual_seed(0))
        first, second = order.chunk(2)
        value = feature_distance(self.real_features[first], self.real_features[second])
        return self._record(
            "real data",
            0,
            "halves",
            {self.fd_name: [value]},
            [0],
            [],
            n_generated=len(first),
            n_reference=len(second),
        )

    def mirrored(self) -> Record:
        """FD from the real images, every other one mirrored, to the set as it is.

        What a perfect generator of mirrored training data would score.
        """
        features = self.real_features.clone()
        features[::2] = self.experiment.classifier().features(self.real[::2].flip(-1))
        value = self._distance(features)
        return self._record(
            "real data",
            0,
            "half-mirrored",
            {self.fd_name: [value]},
            [0],
            [],
            n_generated=len(features),
            n_reference=len(features),
        )

    def record_cost(self, method: str, milliseconds: list[float]) -> Record:
        """Record what a training step of this method took, in several runs."""
        return self._record(
            method,
            0,
            "training",
            {"ms_per_step": milliseconds},
            list(range(len(milliseconds))),
            [],
            n_generated=0,
            n_reference=0,
        )

    def hash(self, method: str, seeds: list[int]) -> str:
        """Fingerprint of everything that decides a record's numbers.

        The models' settings and those of the evaluation.
        """
        experiment = self.experiment
        return settings.identity(
            settings.measurement(experiment.recipe, experiment.dataset, method, seeds, experiment.imported)
        )

    def _record(
        self, method: str, nfe: int, sampler: str, metrics: dict, seeds: list[int], roles: list[str], **other
    ) -> Record:
        experiment, recipe = self.experiment, self.experiment.recipe
        # an imported teacher and a closed form were not trained here
        headers = [
            experiment.headers[role] for role in roles if "training" in experiment.headers.get(role, {})
        ]
        net = (
            getattr(experiment.teacher(), "net", None)
            if method == "teacher"
            else experiment.student(method, seeds[0], nfe).net
            if nfe
            else None
        )
        record = Record(
            recipe=recipe["recipe"],
            profile=recipe["profile"],
            dataset=experiment.dataset,
            method=method,
            nfe=nfe,
            sampler=sampler,
            metrics=metrics,
            seeds=seeds,
            n_generated=other.get("n_generated", len(self.noise)),
            n_reference=other.get("n_reference", self._n_reference),
            split="fresh sample" if experiment.is_toy else recipe.get("data", {}).get("split", "all"),
            hash=self.hash(method, seeds),
            stand_in="stand_in_for" in recipe,
            teacher=experiment.imported and {key: experiment.imported[key] for key in ("net", "sha256")},
            extractor=None
            if "classifier" not in experiment.files
            else f"{experiment.dataset}-cnn {file_sha256(experiment.files['classifier'])}",
            ema=TrainConfig.of(headers[0]["settings"]["train"]).decays[0] if headers else None,
            parameters=cost.parameters(net) if net else None,
            macs=cost.macs(net, experiment.shape) if net else None,
            training=headers[0]["training"]
            | {key: headers[0]["settings"]["train"].get(key, "fp32") for key in ("batch", "precision")}
            if headers
            else {},
            seconds=sum(header["training"]["seconds"] for header in headers) if headers else None,
            checkpoint_sha256=[
                file_sha256(experiment.files[role]) for role in roles if role in experiment.files
            ],
            data_sha256=self._data_sha256,
        )
        records.save(record)
        return record

    @property
    def _n_reference(self) -> int:
        return (
            len(self.noise)
            if self.experiment.is_toy
            else self.real_statistics.n
            if self._has_extractor
            else len(self.real)
        )

    @property
    def _data_sha256(self) -> str | None:
        return (
            None
            if self.experiment.is_toy
            else self.real_statistics.sha256
            if self._has_extractor
            else self.experiment.images.sha256
        )

    @property
    def _has_extractor(self) -> bool:
        return "classifier" in self.experiment.recipe
