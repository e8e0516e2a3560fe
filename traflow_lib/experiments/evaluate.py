"""The command evaluate: metrics of a checkpoint or of a folder of images against a data set.

Each comes with all that its number depends on.
"""

from collections.abc import Callable, Iterable
from dataclasses import asdict, replace
from pathlib import Path

from .. import nets
from ..data import images, sample_files, stand_ins
from ..evaluation import cost, records
from ..evaluation.feature_cache import BATCH
from ..evaluation.generate import Generator, generated, of_folder, reference
from ..evaluation.records import Record
from ..evaluation.scores import METRICS, errors, line, scores
from ..files import paths
from ..files.checksums import fingerprint
from ..files.processes import processes
from .extractors import load


def evaluate(  # noqa: PLR0913 - each is an option of the command
    target: Path,
    dataset: str,
    *,
    nfe: Iterable[int] = (1,),
    n: int = 50_000,
    n_reference: int | None = None,
    extractor: str = "inception",
    mode: str = "clean",
    split: str | None = None,
    seeds: Iterable[int] = (0,),
    metrics: Iterable[str] = ("fid",),
    solver: str | None = None,
    tol: float = 1e-5,
    profile: str = "own",
    method: str | None = None,
    with_cost: bool = False,
    batch: int = BATCH,
    say: Callable = print,
) -> list[Record]:
    """Measure a checkpoint at every number of calls, or images in a folder or file; returns the records.

    A line a metric is said and a record each saved.

    split: of the reference, "train" where there is one; n: images to generate a seed, or of the folder to
    take; profile: under which the records are filed. ValueError, FileNotFoundError and ImportError say in one
    line what is wrong or missing.
    """
    if unknown := [name for name in metrics if name not in METRICS]:
        raise ValueError(f"unknown metric '{unknown[0]}'; there are {', '.join(METRICS)}")
    split = split or ("train" if "train" in images.splits(dataset) else "all")
    main = processes().is_main_process
    say = say if main else lambda line: None
    made = load(extractor, dataset, mode, say)
    if "is" in metrics and not made.logits:
        raise ValueError(
            f"{made.name} ({made.mode}) gives no class scores; is takes inception (clean, legacy_tensorflow) "
            "or cnn"
        )
    options = {"spatial": "sfid" in metrics, "batch": batch, "say": say}
    if target.is_dir() or target.suffix in sample_files.ARRAYS:
        sets = [("folder", 0, [0], [of_folder(target, made, n, **options)])]
        generator, name = None, method or (target.resolve().name if target.is_dir() else target.stem)
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
            recipe=f"evaluate-{made.name}-{made.mode}-{split}-{n}",
            profile=profile,
            dataset=dataset,
            method=name,
            nfe=calls,
            sampler=sampler,
            metrics={key: [value[key] for value in values] for key in values[0]},
            seeds=own_seeds,
            n_generated=len(found[0]),
            n_reference=len(real),
            split=split,
            hash=fingerprint({"real": real.facts, "fake": [fake.facts for fake in found]}),
            stand_in=stand_ins.parse(dataset) is not None,
            extractor=f"{made.name} {made.sha256}",
            mode=f"{made.mode}, uint8",
            errors={key: [value] for key, value in spreads.items()},
            cost=price,
            ema=_decay(header),
            training=header.get("training", {}),
            parameters=cost.parameters(net) if net else None,
            macs=cost.macs(net, shape) if net else None,
            checkpoint_sha256=[generator.sha256] if generator else [],
            data_sha256=real.facts["data_sha256"],
        )
        record = _apart(record)
        for metric in record.metrics:
            say(line(record, metric))
        records.save(record)
        done.append(record)
    if price:
        memory = (
            f"{price['peak_memory_mb']:.0f} MB" if price["peak_memory_mb"] else "memory only measured on CUDA"
        )
        say(
            f"{name}: a network call is {price['macs'] / 1e9:.3g} GMACs and {price['latency_ms']:.3g} ms at "
            "batch 1, at best "
            f"{price['images_per_second']:.4g} images/s at batch {price['best_batch']} ({memory}), "
            f"{price['parameters'] / 1e6:.3g}M parameters"
        )
    return done


def _apart(record: Record) -> Record:
    """The record, under a name of its own where one of other pixels or settings has its key already."""
    file = paths.results() / "records" / record.file
    known = {other.key: other.hash for other in records.read(file)} if file.exists() else {}
    if known.get(record.key, record.hash) == record.hash:
        return record
    return replace(record, method=f"{record.method}-{record.hash[:6]}")


def _decay(header: dict) -> float | None:
    """EMA decay of a checkpoint's weights, the first of several; None where it is not known."""
    decay = header.get("settings", {}).get("train", {}).get("ema")
    return decay[0] if isinstance(decay, list) else decay
