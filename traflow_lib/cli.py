"""The command line: python -m traflow_lib train | distill | bench | sample | notebook | store | tables | doctor."""

import argparse
import importlib.util
import sys
from pathlib import Path

import torch

from . import __version__, notebooks, paths, recipes, tables
from . import bench as benchmark
from .experiment import Experiment
from .jump import JumpMap
from .pairs import sample_noise
from .teachers import load_network

OPTIONAL = {
    "torchdiffeq": "dopri5 (extra: eval)", "ot": "exact W2 (extra: eval)", "cleanfid": "FID features (extra: eval)", "matplotlib": "figures (extra: notebooks)",
    "papermill": "batch runs of notebooks (extra: notebooks)", "snakemake": "make reproduce (extra: pipeline)", "nbval": "notebook tests (extra: dev)",
}  # fmt: skip


def _experiments(args) -> list[Experiment]:
    recipe = recipes.load(args.recipe, args.profile)
    datasets = recipe.get("datasets") or [recipe["dataset"]]
    if args.data and args.data not in datasets:
        raise ValueError(f"recipe {args.recipe} has no data set '{args.data}'; it has {', '.join(datasets)}")
    return [Experiment(recipe, dataset) for dataset in ([args.data] if args.data else datasets)]


def train(args) -> None:
    """Train (or find) the teacher of a recipe."""
    for experiment in _experiments(args):
        experiment.teacher()
        print(f"{experiment.dataset}: teacher in {experiment.files['teacher']}")


def distill(args) -> None:
    """Train (or find) students of a recipe, every method and seed unless some are named."""
    for experiment in _experiments(args):
        for method in args.method or experiment.recipe["methods"]:
            for seed in args.seed or experiment.recipe["seeds"]:
                experiment.student(method, seed)
                print(f"{experiment.dataset}: {method}, seed {seed} in {experiment.files[f'{method}-seed{seed}']}")


def bench(args) -> None:
    """Train and measure the teacher and every student of a recipe; what has a record with the same settings is skipped."""
    for experiment in _experiments(args):
        if args.tune:
            benchmark.tune(experiment, args.method)
        elif args.cost:
            benchmark.step_costs(experiment)
        else:
            benchmark.run(experiment, args.method, again=args.again)


def sample(args) -> None:
    """Draw from a student checkpoint: a tensor file [N, ...] of samples, sample i depending on (seed, i) alone."""
    net, header = load_network(Path(args.checkpoint))
    config = header["network"]
    shape = (config["channels"], config["size"], config["size"]) if config["kind"] == "ddpmpp" else (config.get("dim", 2),)
    x = JumpMap(net).sample(sample_noise(args.seed, 0, args.n, shape), args.steps)
    torch.save(x, args.out)
    print(f"{args.n} samples with {args.steps} call{'s' * (args.steps > 1)} each, shape {tuple(x.shape)}, in {args.out}")


def notebook(args) -> None:
    """Execute one notebook by papermill."""
    print(f"executed: {notebooks.run(args.name, args.profile, args.seed)}")


def store(args) -> None:
    """Keep executed notebooks, outputs included, as the committed ones."""
    print(f"stored {len(notebooks.store(args.profile))} notebooks")


def write_tables(args) -> None:
    """Rebuild results/tables from the records; with --show, print the main ones of a profile."""
    files = tables.write_all()
    for file in files:
        if args.show and file.parent.name == args.show and file.stem in tables.MAIN:
            print(file.read_text())
    print(f"{len(files)} tables in {paths.results() / 'tables'}, figures in {paths.results() / 'figures'}, records in {paths.results() / 'records'}")


def doctor(args) -> None:
    """Say what is installed, what is missing and what for."""
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    print(f"traflow_lib {__version__}, torch {torch.__version__}, {device}, root {paths.root()}")
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
            command.add_argument("--recipe", required=True, help=f"one of {', '.join(recipes.names())}")
            command.add_argument("--profile", default="laptop")
            command.add_argument("--data", help="only this data set of the recipe")
        return command

    add("train", train, with_recipe=True)
    one = add("distill", distill, with_recipe=True)
    one.add_argument("--method", action="append", help="only this method (may be repeated)")
    one.add_argument("--seed", action="append", type=int, help="only this seed (may be repeated)")
    compare = add("bench", bench, with_recipe=True)
    compare.add_argument("--method", action="append", help="only this method (may be repeated), without the teacher")
    compare.add_argument("--again", action="store_true", help="measure again what has a record")
    compare.add_argument("--tune", action="store_true", help="the recipe's search for each method's settings instead (profile: search)")
    compare.add_argument("--cost", action="store_true", help="the time of each method's training step instead; needs an idle machine")
    draw = add("sample", sample)
    draw.add_argument("checkpoint")
    draw.add_argument("--steps", type=int, default=1, help="network calls a sample")
    draw.add_argument("--n", type=int, default=64)
    draw.add_argument("--seed", type=int, default=0)
    draw.add_argument("--out", default="samples.pt")
    execute = add("notebook", notebook)
    execute.add_argument("name", help="one of notebooks/, without .ipynb")
    execute.add_argument("--profile", default="laptop")
    execute.add_argument("--seed", type=int)
    add("store", store).add_argument("--profile", default="laptop")
    add("tables", write_tables).add_argument("--show", metavar="PROFILE", help="also print the main tables of this profile")
    add("doctor", doctor)
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
