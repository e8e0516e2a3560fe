"""The scores of one set of features against another, each under its full name, and how they are read."""

from collections.abc import Iterable
from typing import Annotated, Literal, get_args

import torch
from pydantic import Field, ValidationError
from torch import Tensor

from ..files.checks import Block, brief, first_fault
from ..files.processes import processes
from ..solvers import Method
from .feature_cache import BATCH, Features
from .features import Extractor
from .frechet import frechet_distance, kernel_distance, mean_and_cov
from .inception import Mode
from .precision_recall import precision_recall
from .records import Record, rows
from .uncertainty import bootstrap, fd_infinity

Metric = Literal["fid", "kid", "is", "pr", "sfid", "fid-infinity"]
METRICS: tuple[str, ...] = get_args(Metric)
Count = Annotated[int, Field(ge=1)]
Several = Annotated[int, Field(ge=2)]


class Scoring(Block):
    """How images are scored, by FID and its kin; the command evaluate takes the same."""

    n: Several = Field(50_000, description="images to generate a seed, or to take from a folder")
    nfe: Annotated[list[Count], Field(min_length=1)] = Field([1], description="network calls a sample")
    seeds: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)] = Field(
        [0], description="of the noise; several give the spread"
    )
    split: str | None = Field(None, description="of the data set; train unless it has none")
    n_reference: Several | None = Field(None, description="only the first so many images of the split")
    metrics: Annotated[list[Metric], Field(min_length=1)] = Field(["fid"], description="which")
    extractor: str = Field(
        "inception",
        description="one of inception, cnn (the kit's), random[:SEED] (of random weights), "
        "torchvision:MODEL=FILE or timm:MODEL=FILE",
    )
    mode: Mode = Field("clean", description="how Inception's images are resized")
    solver: Method | None = Field(None, description="instead of jumps")
    tol: Annotated[float, Field(gt=0)] = Field(1e-5, description="of dopri5")
    batch: Count = Field(BATCH, description="images at a time; several processes share the batches")
    cost: bool = Field(
        False, description="also latency, throughput and memory of a call; needs an idle machine"
    )

    @classmethod
    def of(cls, **settings) -> "Scoring":
        """The settings, checked; a ValueError says in one line which is wrong, and what is allowed."""
        try:
            return cls(**settings)
        except ValidationError as error:
            keys, value, message = first_fault(error, settings)
            raise ValueError(f"{'.'.join(map(str, keys))} is {brief(value)}: {message}") from None


def _statistics(real: Features, extractor: Extractor, subsets: int) -> dict[str, tuple]:
    """By name in METRICS: the kind of metric, which part of Features it takes, and what it makes of that.

    subsets: of KID.
    """

    def fd(x: Tensor) -> float:
        return frechet_distance(*mean_and_cov(x), real.mean, real.cov)

    def spatial_fd(x: Tensor) -> float:
        return frechet_distance(*mean_and_cov(x), real.spatial_mean, real.spatial_cov)

    return {
        "fid": ("fd", "features", fd),
        "fid-infinity": ("fd-infinity", "features", lambda x: fd_infinity(x, real.mean, real.cov).value),
        "kid": ("kid", "features", lambda x: kernel_distance(x, real.features, subsets)),
        "is": ("is", "features", lambda x: inception_score(extractor.given("logits")(x))),
        "sfid": ("sfd", "spatial", spatial_fd),
    }


def scores(
    fake: Features, real: Features, extractor: Extractor, wanted: Iterable[str] = ("fid",)
) -> dict[str, float]:
    """The metrics `wanted` (of METRICS) under their full names; "pr" gives four, see precision_recall."""
    found = {}
    whole = {  # moments of all samples are at hand
        "fd": (fake.mean, fake.cov, real.mean, real.cov),
        "sfd": (fake.spatial_mean, fake.spatial_cov, real.spatial_mean, real.spatial_cov),
    }
    for name, (kind, part, statistic) in _statistics(real, extractor, subsets=100).items():
        if name in wanted:
            known = kind in whole
            found[kind] = frechet_distance(*whole[kind]) if known else statistic(getattr(fake, part))
    if "pr" in wanted:
        device = processes().device
        found |= precision_recall(real.features.to(device), fake.features.to(device))
    return {extractor.metric(kind): value for kind, value in found.items()}


def errors(
    fake: Features, real: Features, extractor: Extractor, wanted: Iterable[str] = ("fid",), repeats: int = 20
) -> dict[str, float]:
    """Standard errors of one set of samples by the bootstrap; "pr" has none: repeated samples upset it."""
    found = {}
    # of KID fewer subsets, or it takes a minute
    for name, (kind, part, statistic) in _statistics(real, extractor, subsets=20).items():
        if name in wanted:
            found[extractor.metric(kind)] = bootstrap(statistic, getattr(fake, part), repeats)
    return found


def inception_score(logits: Tensor, split: int = 5000) -> float:
    """exp E_x KL(p(y|x) || p(y)) (Salimans et al. 2016), the mean over parts of `split` samples in order.

    logits [N, classes], softmax not yet taken; computed in float64. With N = 50,000 these are the usual ten
    parts, as in ADM's evaluator; p(y) is a part's own mean.
    """
    found = []
    for log_p in logits.double().log_softmax(1).split(split):
        marginal = log_p.exp().mean(0, keepdim=True).log()
        found.append((log_p.exp() * (log_p - marginal)).sum(1).mean().exp())
    return torch.stack(found).mean().item()


def line(record: Record, metric: str) -> str:
    """One metric of a record with everything a reader needs to compare it."""
    row = next(row for row in rows(record) if row["metric"] == metric)
    shown = "(one seed, so no spread: give several)"
    if row["spread"] is not None:
        how = f"over {len(row['values'])} seeds" if len(row["values"]) > 1 else "bootstrap"
        shown = f"± {row['spread']:.2g} (standard error, {how})"
    calls = "files"
    if record.sampler != "folder":
        calls = f"{record.nfe} call{'s' * (record.nfe != 1)} by {record.sampler}"
    if record.batch:
        calls += f" in batches of {record.batch:,}"
    extractor, checksum = str(record.extractor).split()
    return (
        f"{metric} {row['value']:.5g} {shown} | {record.method}, {calls}: {record.n_generated:,} images, "
        f"seeds {' '.join(map(str, record.seeds))} | against {record.n_reference:,} of {record.dataset} "
        f"({record.split}) | {extractor} {checksum[:8]}, mode {record.mode}"
    )
