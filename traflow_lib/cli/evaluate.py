"""The command evaluate."""

from pathlib import Path
from typing import Annotated

import typer

from ..evaluation.feature_cache import BATCH
from ..evaluation.scores import METRICS
from ..experiments.evaluate import evaluate


def run(
    target: Annotated[Path, typer.Argument(metavar="CHECKPOINT|FOLDER|ARRAY")],
    data: Annotated[str, typer.Option(help="The data set to compare with.")],
    nfe: Annotated[list[int], typer.Option(help="Network calls a sample (may be repeated).")] = [1],
    samples: Annotated[
        int, typer.Option(help="Images to generate a seed, or to take from the folder.")
    ] = 50_000,
    n_reference: Annotated[
        int | None, typer.Option(help="Only the first so many images of the split.")
    ] = None,
    extractor: Annotated[
        str,
        typer.Option(
            help="inception, cnn (the kit's classifier), torchvision:MODEL=FILE or timm:MODEL=FILE."
        ),
    ] = "inception",
    mode: Annotated[
        str, typer.Option(help="Inception's: clean, legacy_tensorflow or legacy_pytorch.")
    ] = "clean",
    split: Annotated[str | None, typer.Option(help="Of the data set; train unless it has none.")] = None,
    seed: Annotated[
        list[int], typer.Option(help="Of the noise (may be repeated); several give the spread.")
    ] = [0],
    metric: Annotated[list[str], typer.Option(help=f"One of {', '.join(METRICS)} (may be repeated).")] = [
        "fid"
    ],
    solver: Annotated[
        str | None, typer.Option(help="euler, midpoint, heun, rk4 or dopri5 instead of jumps.")
    ] = None,
    tol: Annotated[float, typer.Option(help="Of dopri5.")] = 1e-5,
    profile: Annotated[str, typer.Option(help="Under which the records are filed.")] = "own",
    method: Annotated[
        str | None, typer.Option(help="Name in the records; else the checkpoint's or the folder's.")
    ] = None,
    cost: Annotated[
        bool,
        typer.Option(
            "--cost", help="Also latency, throughput and memory of a network call; needs an idle machine."
        ),
    ] = False,
    batch: Annotated[
        int, typer.Option(help="Images at a time; several processes share the batches.")
    ] = BATCH,
) -> None:
    """Measure a checkpoint, a folder of images, or an .npz, .npy or .pt of them: FID and its kin.

    Each line and record says all that its number depends on.
    """
    evaluate(
        target,
        data,
        nfe=nfe,
        n=samples,
        n_reference=n_reference,
        extractor=extractor,
        mode=mode,
        split=split,
        seeds=seed,
        metrics=metric,
        solver=solver,
        tol=tol,
        profile=profile,
        method=method,
        with_cost=cost,
        batch=batch,
    )
