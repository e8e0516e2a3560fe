"""The scores of one set of features against another, each under its full name, and how they are read."""

from collections.abc import Iterable
from statistics import fmean, stdev
from typing import Literal, get_args

from torch import Tensor

from ..files.processes import processes
from .feature_cache import Features
from .features import Extractor
from .frechet import frechet_distance, mean_and_cov
from .inception_score import inception_score
from .kernel import kernel_distance
from .precision_recall import precision_recall
from .records import Record
from .uncertainty import bootstrap, fd_infinity

Metric = Literal["fid", "kid", "is", "pr", "sfid", "fid-infinity"]
METRICS: tuple[str, ...] = get_args(Metric)


def scores(
    fake: Features, real: Features, extractor: Extractor, wanted: Iterable[str] = ("fid",)
) -> dict[str, float]:
    """The metrics `wanted` (of METRICS) under their full names.

    "pr" gives precision, recall, density and coverage.
    """
    device, found = processes().device, {}
    if "fid" in wanted:
        found["fd"] = frechet_distance(fake.mean, fake.cov, real.mean, real.cov)
    if "fid-infinity" in wanted:
        found["fd-infinity"] = fd_infinity(fake.features, real.mean, real.cov).value
    if "kid" in wanted:
        found["kid"] = kernel_distance(fake.features, real.features)
    if "is" in wanted:
        found["is"] = inception_score(extractor.given("logits")(fake.features))
    if "pr" in wanted:
        found |= precision_recall(real.features.to(device), fake.features.to(device))
    if "sfid" in wanted:
        moments = fake.spatial_mean, fake.spatial_cov, real.spatial_mean, real.spatial_cov
        found["sfd"] = frechet_distance(*moments)
    return {extractor.metric(kind): value for kind, value in found.items()}


def errors(
    fake: Features, real: Features, extractor: Extractor, wanted: Iterable[str] = ("fid",), repeats: int = 20
) -> dict[str, float]:
    """Standard errors of one set of samples by the bootstrap, under the metrics' full names.

    "pr" has none, since repeated samples upset it.
    """

    def distance(x: Tensor) -> float:
        return frechet_distance(*mean_and_cov(x), real.mean, real.cov)

    def spatial_distance(x: Tensor) -> float:
        return frechet_distance(*mean_and_cov(x), real.spatial_mean, real.spatial_cov)

    known = {
        "fid": ("fd", fake.features, distance),
        "fid-infinity": ("fd-infinity", fake.features, lambda x: fd_infinity(x, real.mean, real.cov).value),
        # fewer subsets, or it takes a minute
        "kid": ("kid", fake.features, lambda x: kernel_distance(x, real.features, subsets=20)),
        "is": ("is", fake.features, lambda x: inception_score(extractor.given("logits")(x))),
        "sfid": ("sfd", fake.spatial, spatial_distance),
    }
    found = {}
    for kind, samples, statistic in (known[name] for name in wanted if name in known):
        found[extractor.metric(kind)] = bootstrap(statistic, samples, repeats)
    return found


def line(record: Record, metric: str) -> str:
    """One metric of a record with everything a reader needs to compare it."""
    values = record.metrics[metric]
    spread, how = record.errors.get(metric, [None])[0], "bootstrap"
    if len(values) > 1:
        spread, how = stdev(values) / len(values) ** 0.5, f"over {len(values)} seeds"
    shown = "(one seed, so no spread: give several)"
    if spread is not None:
        shown = f"± {spread:.2g} (standard error, {how})"
    calls = "files"
    if record.sampler != "folder":
        calls = f"{record.nfe} call{'s' * (record.nfe != 1)} by {record.sampler}"
    if record.batch:
        calls += f" in batches of {record.batch:,}"
    extractor, checksum = str(record.extractor).split()
    return (
        f"{metric} {fmean(values):.5g} {shown} | {record.method}, {calls}: {record.n_generated:,} images, "
        f"seeds {' '.join(map(str, record.seeds))} | against {record.n_reference:,} of {record.dataset} "
        f"({record.split}) | {extractor} {checksum[:8]}, mode {record.mode}"
    )
