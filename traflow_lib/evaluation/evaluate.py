"""The command evaluate: metrics of a checkpoint or of a folder of images against a data set, each with all that its number depends on."""

from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from statistics import fmean, stdev

from .. import draws, nets, records
from ..data import images, shapes
from ..records import Record
from ..settings import fingerprint
from . import cost
from .collect import BATCH, Features
from .features import Extractor, load
from .fidelity import inception_score, precision_recall
from .frechet import frechet_distance, kernel_distance, mean_and_cov
from .generate import Generator, generated, of_folder, reference
from .uncertainty import bootstrap, fd_infinity

METRICS = ("fid", "kid", "is", "pr", "sfid", "fid-infinity")


def scores(fake: Features, real: Features, extractor: Extractor, wanted: Iterable[str] = ("fid",)) -> dict[str, float]:
    """The metrics `wanted` (of METRICS) under their full names; pr gives precision, recall, density and coverage."""
    device, found = draws.processes().device, {}
    if "fid" in wanted:
        found["fd"] = frechet_distance(fake.mean, fake.cov, real.mean, real.cov)
    if "fid-infinity" in wanted:
        found["fd-infinity"] = fd_infinity(fake.features, real.mean, real.cov).value
    if "kid" in wanted:
        found["kid"] = kernel_distance(fake.features, real.features)
    if "is" in wanted:
        found["is"] = inception_score(extractor.logits(fake.features))
    if "pr" in wanted:
        found |= precision_recall(real.features.to(device), fake.features.to(device))
    if "sfid" in wanted:
        found["sfd"] = frechet_distance(fake.spatial_mean, fake.spatial_cov, real.spatial_mean, real.spatial_cov)
    return {extractor.metric(kind): value for kind, value in found.items()}


def errors(fake: Features, real: Features, extractor: Extractor, wanted: Iterable[str] = ("fid",), repeats: int = 20) -> dict[str, float]:
    """Standard errors of one set of samples by the bootstrap, under the metrics' full names; pr has none, since repeated samples upset it."""
    known = {
        "fid": ("fd", fake.features, lambda x: frechet_distance(*mean_and_cov(x), real.mean, real.cov)),
        "fid-infinity": ("fd-infinity", fake.features, lambda x: fd_infinity(x, real.mean, real.cov).value),
        "kid": ("kid", fake.features, lambda x: kernel_distance(x, real.features, subsets=20)),  # fewer, or it takes a minute
        "is": ("is", fake.features, lambda x: inception_score(extractor.logits(x))),
        "sfid": ("sfd", fake.spatial, lambda x: frechet_distance(*mean_and_cov(x), real.spatial_mean, real.spatial_cov)),
    }
    return {extractor.metric(known[name][0]): bootstrap(known[name][2], known[name][1], repeats) for name in wanted if name in known}


def evaluate(
    target: Path, dataset: str, *, nfe: Iterable[int] = (1,), n: int = 50_000, n_reference: int | None = None, extractor: str = "inception",
    mode: str = "clean", split: str | None = None, seeds: Iterable[int] = (0,), metrics: Iterable[str] = ("fid",), solver: str | None = None,
    tol: float = 1e-5, profile: str = "own", method: str | None = None, with_cost: bool = False, batch: int = BATCH, say: Callable = print,
) -> list[Record]:  # fmt: skip
    """Measure a checkpoint at every number of calls (or a folder of images), say a line a metric and save a record each; returns the records.

    split: of the reference, "train" where there is one; n: images to generate a seed, or of the folder to take; profile: under which the
    records are filed. ValueError, FileNotFoundError and ImportError say in one line what is wrong or missing.
    """
    if unknown := [name for name in metrics if name not in METRICS]:
        raise ValueError(f"unknown metric '{unknown[0]}'; there are {', '.join(METRICS)}")
    split = split or ("train" if "train" in images.splits(dataset) else "all")
    main = draws.processes().is_main_process
    say = say if main else lambda line: None
    made = load(extractor, dataset, mode, say)
    if "is" in metrics and not made.logits:
        raise ValueError(f"{made.name} ({made.mode}) gives no class scores; is takes inception (clean, legacy_tensorflow) or cnn")
    options = {"spatial": "sfid" in metrics, "batch": batch, "say": say}
    if target.is_dir():
        sets = [("folder", 0, [0], [of_folder(target, made, n, **options)])]
        generator, name = None, method or target.name
    else:
        generator = Generator(target, solver, tol)
        sets, name = [], method or generator.name
        for calls in nfe if generator.sampler != "dopri5" else [0]:
            found = [generated(generator, made, n, seed, calls, **options) for seed in seeds]
            sets.append((generator.sampler, max(fake.nfe for fake in found), list(seeds), found))
    real = reference(dataset, split, made, n_reference, **options)
    if not main:
        return []
    header = generator.header if generator else {}
    net = generator.net if generator else None
    shape = nets.sample_shape(header["network"]) if generator else None
    price = asdict(cost.measure(net, shape)) if generator and with_cost else {}
    done = []
    for sampler, calls, own_seeds, found in sets:
        values = [scores(fake, real, made, metrics) for fake in found]
        spreads = errors(found[0], real, made, metrics) if len(found) == 1 else {}
        record = Record(
            recipe=f"evaluate-{made.name}-{made.mode}-{split}-{n}", profile=profile, dataset=dataset, method=name, nfe=calls, sampler=sampler,
            metrics={key: [value[key] for value in values] for key in values[0]}, seeds=own_seeds, n_generated=len(found[0]), n_reference=len(real),
            split=split, hash=fingerprint({"real": real.facts, "fake": [fake.facts for fake in found]}), stand_in=shapes.parse(dataset) is not None,
            extractor=f"{made.name} {made.sha256}", mode=f"{made.mode}, uint8", errors={key: [value] for key, value in spreads.items()}, cost=price,
            ema=_decay(header), training=header.get("training", {}),
            parameters=cost.parameters(net) if net else None, macs=cost.macs(net, shape) if net else None,
            checkpoint_sha256=[generator.sha256] if generator else [], data_sha256=real.facts["data_sha256"],
        )  # fmt: skip
        for metric in record.metrics:
            say(line(record, metric))
        records.save(record)
        done.append(record)
    if price:
        memory = f"{price['peak_memory_mb']:.0f} MB" if price["peak_memory_mb"] else "memory only measured on CUDA"
        say(
            f"{name}: a network call is {price['macs'] / 1e9:.3g} GMACs and {price['latency_ms']:.3g} ms at batch 1, at best "
            f"{price['images_per_second']:.4g} images/s at batch {price['best_batch']} ({memory}), {price['parameters'] / 1e6:.3g}M parameters"
        )
    return done


def _decay(header: dict) -> float | None:
    """EMA decay of a checkpoint's weights, the first of several; None where it is not known."""
    decay = header.get("settings", {}).get("train", {}).get("ema")
    return decay[0] if isinstance(decay, list) else decay


def line(record: Record, metric: str) -> str:
    """One metric of a record with everything a reader needs to compare it: extractor, mode, counts, split, seeds and spread."""
    values = record.metrics[metric]
    spread, how = record.errors.get(metric, [None])[0], "bootstrap"
    if len(values) > 1:
        spread, how = stdev(values) / len(values) ** 0.5, f"over {len(values)} seeds"
    shown = f"± {spread:.2g} (standard error, {how})" if spread is not None else "(one seed, so no spread: give several)"
    extractor, checksum = record.extractor.split()
    calls = f"{record.nfe} call{'s' * (record.nfe != 1)} by {record.sampler}" if record.sampler != "folder" else "files"
    return (
        f"{metric} {fmean(values):.5g} {shown} | {record.method}, {calls}: {record.n_generated:,} images, seeds {' '.join(map(str, record.seeds))}"
        f" | against {record.n_reference:,} of {record.dataset} ({record.split}) | {extractor} {checksum[:8]}, mode {record.mode}"
    )
