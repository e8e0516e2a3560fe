"""Metrics of a checkpoint or of images, with all that they depend on, and FID as a recipe asks for it."""

from dataclasses import asdict
from pathlib import Path

from ..data import images, sample_files, stand_ins
from ..evaluation import cost, inception, records
from ..evaluation.generate import Generator, generated, of_folder, reference
from ..evaluation.models import Model, recorded
from ..evaluation.records import Record
from ..evaluation.scores import Scoring, errors, line, scores
from ..files.checksums import fingerprint
from ..files.log import log
from ..files.processes import processes
from .experiment import Experiment
from .extractors import load


def evaluate(
    target: Path | str, dataset: str, settings: Scoring, *, method: str | None = None, profile: str = "own"
) -> list[Record]:
    """Measure a checkpoint at every number of calls, or images in a folder or file; say it and save records.

    Args:
        target: the checkpoint or the folder.
        dataset: the data set to compare with.
        settings: how.
        method: the name in the records, else the checkpoint's or the folder's.
        profile: under which the records are filed.

    Raises:
        ValueError, FileNotFoundError, ImportError: in one line, what is wrong or missing.
    """
    records.require_name("profile", profile)
    target, main = Path(target), processes().is_main_process
    split = settings.split or ("train" if "train" in images.splits(dataset) else "all")
    extractor = load(settings.extractor, dataset, settings.mode)
    if "is" in settings.metrics:
        extractor.given("logits")
    options = {"spatial": "sfid" in settings.metrics, "batch": settings.batch}
    models, shape, price = [], (), {}
    if target.is_dir() or target.suffix in sample_files.ARRAYS:
        sets = [("folder", 0, [0], [of_folder(target, extractor, settings.n, **options)])]
        name = target.resolve().name if target.is_dir() else target.stem
    else:
        generator, sets = Generator(target, settings.solver, settings.tol), []
        wanted = tuple(images.shape(dataset))
        if generator.shape != wanted:
            made = f"{target.name} makes images of the shape {generator.shape}"
            raise ValueError(f"{made}, and {dataset} has {wanted}; name a data set of that shape")
        models, shape = [Model(generator.net, generator.header, target)], generator.shape
        name = generator.name
        for calls in settings.nfe if generator.sampler != "dopri5" else [0]:
            found = [
                generated(generator, extractor, settings.n, seed, calls, **options) for seed in settings.seeds
            ]
            sets.append((generator.sampler, max(fake.nfe for fake in found), settings.seeds, found))
    real = reference(dataset, split, extractor, settings.n_reference, **options)
    if not main:
        return []
    if models and settings.cost:
        price = asdict(cost.measure(generator.net, shape))
    done = []
    for sampler, calls, seeds, found in sets:
        values = [scores(fake, real, extractor, settings.metrics) for fake in found]
        spreads = errors(found[0], real, extractor, settings.metrics) if len(found) == 1 else {}
        record = records.save_beside_others(
            Record(
                recipe=f"evaluate-{extractor.name}-{extractor.mode}-{split}-{settings.n}",
                profile=profile,
                dataset=dataset,
                method=method or name,
                nfe=calls,
                sampler=sampler,
                metrics={key: [value[key] for value in values] for key in values[0]},
                seeds=seeds,
                n_generated=len(found[0]),
                n_reference=len(real),
                split=split,
                hash=fingerprint({"real": real.facts, "fake": [fake.facts for fake in found]}),
                stand_in=stand_ins.parse(dataset) is not None,
                extractor=f"{extractor.name} {extractor.sha256}",
                mode=f"{extractor.mode}, uint8",
                errors={key: [value] for key, value in spreads.items()},
                cost=price,
                batch=found[0].facts.get("batch"),
                data_sha256=real.facts["data_sha256"],
                **recorded(models, shape),
            )
        )
        for metric in values[0]:
            log.info(line(record, metric))
        done.append(record)
    if price:
        peak = price["peak_memory_mb"]
        memory = f"{peak:.0f} MB" if peak else "memory only measured on CUDA"
        log.info(
            f"{method or name}: a network call is {price['macs'] / 1e9:.3g} GMACs and "
            f"{price['latency_ms']:.3g} ms at batch 1, at best {price['images_per_second']:.4g} images/s at "
            f"batch {price['best_batch']} ({memory}), {price['parameters'] / 1e6:.3g}M parameters"
        )
    return done


def fid_settings(recipe: dict, method: str) -> dict:
    """The `fid` block for a method; outside the contest (the paper's ablations), as `ablation` changes it."""
    return recipe["fid"] | ({} if method in ("teacher", *recipe["methods"]) else recipe.get("ablation", {}))


def fid(experiment: Experiment, methods: list[str] | None = None) -> list[Record]:
    """Records of FID and its kin: of the teacher (by dopri5) and the methods (first seed), or of those named.

    Empty, after a line that says why, if the recipe has no `fid` block or Inception's weights are not here.
    """
    recipe = experiment.recipe
    if "fid" not in recipe:
        ruler = "another ruler, the classifier of its data set"
        log.info(f"not run: FID; profile {recipe['profile']} has {ruler}")
        return []
    try:
        inception.weights(inception.TORCHSCRIPT)
    except FileNotFoundError as error:
        log.info(f"not run: FID. {error}")
        return []
    found: list[Record] = []
    for method in methods or ["teacher", *recipe["methods"]]:
        own = {"nfe": recipe["evaluate"]["nfe"]}
        if method == "teacher":
            own = {"solver": "dopri5", "tol": recipe["evaluate"]["reference"]["tol"]}
        how = Scoring.of(**own | fid_settings(recipe, method))
        # progressive distillation has a network for each number of calls
        files = {calls: experiment.model(method, recipe["seeds"][0], calls).file for calls in how.nfe}
        for file in dict.fromkeys(files.values()):
            these = how.model_copy(update={"nfe": [calls for calls in how.nfe if files[calls] == file]})
            found += evaluate(file, experiment.dataset, these, method=method, profile=recipe["profile"])
    return found
