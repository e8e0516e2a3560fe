"""The command evaluate."""

from typing import Annotated

import typer

from ..evaluation.scores import METRICS, Scoring
from ..experiments.evaluate import evaluate
from .options import option

DEFAULT = Scoring.of()


def _option(name: str, *flags: str, more: str = ""):
    """The option of a setting of Scoring, whose help is the setting's description."""
    about = str(Scoring.model_fields[name].description)
    return typer.Option(*flags, help=f"{about[0].upper()}{about[1:]}{more}.")


def run(
    target: Annotated[str, typer.Argument(metavar="CHECKPOINT|FOLDER|ARRAY")],
    data: Annotated[str, option("The data set to compare with.")],
    nfe: Annotated[list[int], _option("nfe", more=" (may be repeated)")] = DEFAULT.nfe,
    n: Annotated[int, _option("n", "--samples")] = DEFAULT.n,  # torchrun takes --n for its own
    n_reference: Annotated[int | None, _option("n_reference")] = None,
    extractor: Annotated[str, _option("extractor")] = DEFAULT.extractor,
    mode: Annotated[str, _option("mode", more=": clean, legacy_tensorflow or legacy_pytorch")] = DEFAULT.mode,
    split: Annotated[str | None, _option("split")] = None,
    seeds: Annotated[list[int], _option("seeds", "--seed", more=" (may be repeated)")] = DEFAULT.seeds,
    metrics: Annotated[
        list[str], _option("metrics", "--metric", more=f" of {', '.join(METRICS)} (may be repeated)")
    ] = [*DEFAULT.metrics],
    solver: Annotated[str | None, _option("solver", more=": euler, midpoint, heun, rk4 or dopri5")] = None,
    tol: Annotated[float, _option("tol")] = DEFAULT.tol,
    batch: Annotated[int, _option("batch")] = DEFAULT.batch,
    cost: Annotated[bool, _option("cost", "--cost")] = False,
    profile: Annotated[str, option("Under which the records are filed.")] = "own",
    method: Annotated[
        str | None, option("Name in the records; else the checkpoint's or the folder's.")
    ] = None,
) -> None:
    """Measure a checkpoint, a folder of images, or an .npz, .npy or .pt of them: FID and its kin.

    Each line and record says all that its number depends on.
    """
    settings = {name: value for name, value in locals().items() if name in Scoring.model_fields}
    evaluate(target, data, Scoring.of(**settings), method=method, profile=profile)
