"""The command import-teacher."""

from pathlib import Path
from typing import Annotated

import typer

from ..teachers import import_teacher


def run(
    file: Path,
    out: Annotated[
        Path | None, typer.Option(help="Default: beside the file, ending in .safetensors.")
    ] = None,
) -> None:
    """Rewrite a released teacher as this kit's safetensors.

    It may be a RectifiedFlow .pth or an EDM .pkl; it is checked, and its code is never run.
    """
    written = import_teacher(file, out)
    print(f"{file} is now {written}, {written.stat().st_size / 1e6:.1f} MB")
