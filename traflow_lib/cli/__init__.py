"""The command line: python -m traflow_lib COMMAND, each command a function of this module."""

import argparse
import importlib.util
import sys
from collections import Counter
from pathlib import Path

import torch
from accelerate.utils import gather_object

from .. import __version__, nets
from ..data import fetch, images
from ..evaluation.feature_cache import BATCH
from ..evaluation.scores import METRICS
from ..experiments import bench as benchmark
from ..experiments import evaluate as evaluation
from ..experiments import fid, readiness, recipes
from ..experiments.experiment import Experiment
from ..files import paths
from ..files.processes import processes
from ..jump import JumpMap
from ..nets.precision import DTYPES
from ..pairs import sample_start
from ..reports import evidence, notebooks, store, tables
from ..teachers import import_teacher, load_network

OPTIONAL = {
    "torchdiffeq": "dopri5 (extra: eval)", "ot": "exact W2 (extra: eval)", "cleanfid": "FID features (extra: eval)", "matplotlib": "figures (extra: notebooks)",
    "papermill": "batch runs of notebooks (extra: notebooks)", "snakemake": "make reproduce (extra: pipeline)", "nbval": "notebook tests (extra: dev)",
    "diffusers": "UNet2DModel teachers (extra: teachers)",
}  # fmt: skip


def _experiments(args) -> list[Experiment]:
    recipe = recipes.load(args.recipe, args.profile, args.teacher, args.precision)
    datasets = recipe.get("datasets") or [recipe["dataset"]]
    if args.data and args.data not in datasets:
        raise ValueError(f"recipe {args.recipe} has no data set '{args.data}'; it has {', '.join(datasets)}")
    resume = getattr(args, "resume", True)  # bench always goes on
    return [
        Experiment(recipe, dataset, resume=resume) for dataset in ([args.data] if args.data else datasets)
    ]


def _say(line: str) -> None:
    """Print once, however many processes there are."""
    if processes().is_main_process:
        print(line)


def data(args) -> None:
    """Prepare the images of a data set, fetching its files if they are missing and free to fetch."""

    def show() -> None:
        splits = images.splits(args.name)
        for split in [name for name in splits if name != "all"] or splits:
            prepared, _ = images.load(args.name, split, args.root)
            where = f"cache {prepared.file}" if prepared.file else "no files needed"
            print(
                f"{args.name} {split}: {len(prepared):,} images of shape {prepared.shape[1:]}, {where}, sha256 {prepared.sha256}"
            )

    try:
        show()
    except FileNotFoundError:
        if args.name not in fetch.URLS:
            raise
        fetch.fetch(args.name, images.data_root(args.root))
        show()


def train(args) -> None:
    """Train (or find) the teacher of a recipe."""
    for experiment in _experiments(args):
        experiment.teacher()
        _say(f"{experiment.dataset}: teacher in {experiment.files['teacher']}")


def distill(args) -> None:
    """Train (or find) students of a recipe, every method and seed unless some are named."""
    for experiment in _experiments(args):
        for method in args.method or experiment.recipe["methods"]:
            for seed in args.seed or experiment.recipe["seeds"]:
                experiment.student(method, seed)
                _say(
                    f"{experiment.dataset}: {method}, seed {seed} in {experiment.files[f'{method}-seed{seed}']}"
                )


def bench(args) -> None:
    """Train and measure the teacher and every student of a recipe; what has a record with the same settings is skipped."""
    for experiment in _experiments(args):
        if args.tune:
            benchmark.tune(experiment, args.method)
        elif args.cost:
            benchmark.step_costs(experiment)
        else:
            benchmark.run(experiment, args.method, again=args.again)
            if "fid" in experiment.recipe:
                fid.run(experiment, args.method)


def sample(args) -> None:
    """Draw from a student checkpoint: a tensor file [N, ...] of samples, sample i (and its class) depending on (seed, i) alone."""
    net, header = load_network(Path(args.checkpoint))
    everyone, shape, classes, parts = (
        processes(),
        nets.sample_shape(header["network"]),
        getattr(net, "classes", 0),
        [],
    )
    net = net.to(everyone.device)
    for start in range(0, args.samples, args.batch)[everyone.process_index :: everyone.num_processes]:
        stop = min(start + args.batch, args.samples)
        noise, label = sample_start(args.seed, start, stop, shape, classes, everyone.device)
        parts.append((start, JumpMap(net, label).sample(noise, args.steps).cpu()))
    parts = sorted(gather_object(parts), key=lambda part: part[0])
    if everyone.is_main_process:
        x = torch.cat([part for _, part in parts])
        torch.save(x, args.out)
        print(
            f"{args.samples} samples with {args.steps} call{'s' * (args.steps > 1)} each, shape {tuple(x.shape)}, in {args.out}"
        )


def evaluate(args) -> None:
    """Measure a checkpoint or a folder of images against a data set: FID and its kin, each line and record with all it depends on."""
    options = {key: value for key, value in vars(args).items() if key not in ("run", "target", "data")}
    evaluation.evaluate(args.target, args.data, **options)


def import_checkpoint(args) -> None:
    """Rewrite a teacher of a release (RectifiedFlow .pth, EDM .pkl) as this kit's safetensors, checked and without running its code."""
    file = import_teacher(Path(args.file), Path(args.out) if args.out else None)
    print(f"{args.file} is now {file}, {file.stat().st_size / 1e6:.1f} MB")


def notebook(args) -> None:
    """Execute one notebook by papermill."""
    print(f"executed: {notebooks.run(args.name, args.profile, args.seed, args.teacher)}")


def course(args) -> None:
    """Make a working copy of the notebooks below runs/, where nothing you do changes the repository."""
    folder, different = notebooks.working_copy()
    print(f"your working copy of the course: {folder}")
    if different:
        print(
            f"kept as you left them, other than the repository's: {', '.join(different)}; delete one to get a fresh copy"
        )


def store_results(args) -> None:
    """Make this machine's results of a profile the committed reference: records, executed notebooks, linked figures and tables."""
    for file in store.store(args.profile):
        print(f"stored {file.relative_to(paths.root())}")


def write_tables(args) -> None:
    """Build all tables of this machine's records and the published numbers."""
    files = store.write_tables(evidence.here(), paths.results() / "tables")
    print(
        f"{len(files)} files of tables in {paths.results() / 'tables'}, of the records in {paths.results() / 'records'}"
    )


def compare(args) -> None:
    """Set this machine's numbers of a profile beside the committed ones, and say which differ by more than their spread."""
    header, lines = evidence.comparison(args.profile)
    if not lines:
        raise ValueError(
            f"there is nothing to compare: no record of profile {args.profile} in {paths.results() / 'records'}"
        )
    file = paths.results() / "tables" / f"reproduction-{args.profile}.md"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(
        f"# Profile {args.profile}: this machine beside the reference\n\n{tables.markdown(header, lines)}",
        encoding="utf-8",
    )
    verdicts = Counter(line[-1] for line in lines)
    shown = [line for line in lines if line[-1] == "DIFFERS" or (line[0], line[2], line[3]) in evidence.SHOWN]
    print(tables.markdown(header, shown))
    print(
        f"{len(lines)} numbers: {', '.join(f'{count} {verdict}' for verdict, count in verdicts.most_common())}; all of them: {file}"
    )


def doctor(args) -> None:
    """Say what is installed, what is missing and what for; with --recipe, whether what it needs is here."""
    if args.recipe:
        return readiness.check(recipes.load(args.recipe, args.profile, args.teacher))
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    print(f"traflow_lib {__version__}, torch {torch.__version__}, {device}, root {paths.root()}")
    print(readiness.precision())
    for module, purpose in OPTIONAL.items():
        found = importlib.util.find_spec(module) is not None
        print(f"{'ok     ' if found else 'MISSING'} {module}: {purpose}")


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="python -m traflow_lib", description=__doc__)
    commands = top.add_subparsers(required=True, metavar="command")

    def add(name: str, function, with_recipe: bool = False) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=function.__doc__)
        command.set_defaults(run=function)
        if with_recipe:
            command.add_argument(
                "--recipe", required=function is not doctor, help=f"one of {', '.join(recipes.names())}"
            )
            command.add_argument("--profile", default="laptop")
            command.add_argument("--data", help="only this data set of the recipe")
            command.add_argument(
                "--precision",
                choices=tuple(DTYPES),
                help="train and sample in this precision instead of the recipe's",
            )
        if with_recipe or function is notebook:
            command.add_argument(
                "--teacher",
                type=Path,
                help="take this checkpoint (the kit's, RectifiedFlow .pth, EDM .pkl) for the recipe's teacher",
            )
        return command

    prepare = add("data", data)
    prepare.add_argument(
        "name",
        help="digits, fashion_mnist, cifar10, celeba64, ffhq64, imagenet64, shapes32 ...; data/README.md says what goes where",
    )
    prepare.add_argument(
        "--root", type=Path, help="the folder with the published files (TRAFLOW_DATA, else data/)"
    )
    one = add("train", train, with_recipe=True)
    one.add_argument(
        "--resume",
        action="store_true",
        help="go on with a training that was interrupted; without it, one that is found is refused",
    )
    one = add("distill", distill, with_recipe=True)
    one.add_argument("--resume", action="store_true", help="as for train")
    one.add_argument("--method", action="append", help="only this method (may be repeated)")
    one.add_argument("--seed", action="append", type=int, help="only this seed (may be repeated)")
    race = add("bench", bench, with_recipe=True)
    race.add_argument(
        "--method", action="append", help="only this method (may be repeated); teacher is one of them"
    )
    race.add_argument("--again", action="store_true", help="measure again what has a record")
    race.add_argument(
        "--tune",
        action="store_true",
        help="the recipe's search for each method's settings instead (profile: search)",
    )
    race.add_argument(
        "--cost",
        action="store_true",
        help="the time of each method's training step instead; needs an idle machine",
    )
    draw = add("sample", sample)
    draw.add_argument("checkpoint")
    draw.add_argument("--steps", type=int, default=1, help="network calls a sample")
    draw.add_argument("--samples", type=int, default=64)  # torchrun would take --n for its own
    draw.add_argument(
        "--batch", type=int, default=500, help="samples at a time; several processes share the batches"
    )
    draw.add_argument("--seed", type=int, default=0)
    draw.add_argument("--out", default="samples.pt")
    score = add("evaluate", evaluate)
    score.add_argument("target", type=Path, metavar="CHECKPOINT|FOLDER")
    score.add_argument("--data", required=True, help="the data set to compare with")
    score.add_argument("--nfe", type=int, nargs="+", default=[1], help="network calls a sample")
    score.add_argument(
        "--samples",
        type=int,
        default=50_000,
        dest="n",
        help="images to generate a seed, or to take from the folder",
    )
    score.add_argument("--n-reference", type=int, help="only the first so many images of the split")
    score.add_argument(
        "--extractor",
        default="inception",
        help="inception, cnn (the kit's classifier), torchvision:MODEL=FILE or timm:MODEL=FILE",
    )
    score.add_argument(
        "--mode", default="clean", help="Inception's: clean, legacy_tensorflow or legacy_pytorch"
    )
    score.add_argument("--split", help="of the data set; train unless it has none")
    score.add_argument(
        "--seed", type=int, nargs="+", default=[0], dest="seeds", help="of the noise; several give the spread"
    )
    score.add_argument("--metrics", nargs="+", default=["fid"], help=", ".join(METRICS))
    score.add_argument("--solver", help="euler, midpoint, heun, rk4 or dopri5 instead of jumps")
    score.add_argument("--tol", type=float, default=1e-5, help="of dopri5")
    score.add_argument("--profile", default="own", help="under which the records are filed")
    score.add_argument("--method", help="name in the records; the checkpoint's or the folder's")
    score.add_argument(
        "--cost",
        action="store_true",
        dest="with_cost",
        help="also latency, throughput and memory of a network call; needs an idle machine",
    )
    score.add_argument(
        "--batch", type=int, default=BATCH, help="images at a time; several processes share the batches"
    )
    convert = add("import-teacher", import_checkpoint)
    convert.add_argument("file")
    convert.add_argument("--out", help="default: beside the file, ending in .safetensors")
    execute = add("notebook", notebook)
    execute.add_argument("name", help="one of notebooks/, without .ipynb")
    execute.add_argument("--profile", default="laptop")
    execute.add_argument("--seed", type=int)
    add("course", course)
    add("store", store_results).add_argument("--profile", default="laptop")
    add("tables", write_tables)
    add("compare", compare).add_argument("--profile", default="laptop")
    add("doctor", doctor, with_recipe=True)
    return top


def main(arguments: list[str] | None = None) -> int:
    """Run one command; what the user can mend is one line on stderr and exit status 2."""
    args = parser().parse_args(arguments)
    try:
        args.run(args)
    except (ValueError, FileNotFoundError, ImportError, RuntimeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0
