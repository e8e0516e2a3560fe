"""The command data."""

from pathlib import Path
from typing import Annotated

import typer

from ..data import fetch, images
from ..files import paths


def run(
    name: Annotated[
        str,
        typer.Argument(
            help="digits, fashion_mnist, cifar10, celeba64, ffhq64, imagenet64, shapes32, faces64, "
            "objects32 ..., or folder:PATH@SIZE, your own pictures; data/README.md says what goes where."
        ),
    ],
    root: Annotated[
        Path | None, typer.Option(help="The folder with the published files (TRAFLOW_DATA, else data/).")
    ] = None,
) -> None:
    """Prepare a data set's images, fetching what is free and missing."""
    try:
        _show(name, root)
    except FileNotFoundError:
        if name not in fetch.URLS:
            raise
        fetch.fetch(name, root or paths.data())
        _show(name, root)


def _show(name: str, root: Path | None) -> None:
    splits = images.splits(name)
    for split in [split for split in splits if split != "all"] or splits:
        prepared, _ = images.load(name, split, root)
        where = f"cache {prepared.file}" if prepared.file else "no files needed"
        size = f"{len(prepared):,} images of shape {prepared.shape[1:]}"
        if prepared.classes:
            size += f", {len(prepared.classes)} classes ({', '.join(prepared.classes[:10])})"
        if prepared.skipped:
            size += f", {prepared.skipped:,} files of other kinds left out"
        print(f"{name} {split}: {size}, {where}, sha256 {prepared.sha256}")
