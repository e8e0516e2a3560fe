"""Long computations in parts: each is safe once it is done, processes share them, one joins them."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from torch import Tensor
from tqdm import tqdm

from .log import log
from .processes import processes
from .tensors import load_tensors, save_tensors

Part = dict[str, Tensor]


def in_parts(
    folder: Path,
    n: int,
    batch: int,
    compute: Callable[[int, int], Part],
    finish: Callable[[list[Part]], None],
) -> int:
    """Compute rows 0..n-1 in parts of `batch` that are kept in `folder` until all are there and joined.

    What a killed run left there is taken up. To be called inside exclusively() by all processes of a job.
    folder: of this computation alone; compute(start, stop) -> tensors of rows start..stop-1; finish: called
    once, by the main process, with all parts in order. Returns how many rows this process found computed.
    """
    everyone, found = processes(), 0
    parts = {}
    for start in range(0, n, batch):
        stop = min(start + batch, n)
        parts[start, stop] = folder / f"{start:09d}-{stop:09d}.safetensors"
    mine = list(parts)[everyone.process_index :: everyone.num_processes]
    hidden = everyone.process_index > 0 or not sys.stderr.isatty()  # as training's bar
    for rows in tqdm(mine, desc=folder.stem, unit=" parts", disable=hidden, leave=False):
        if _kept(parts[rows]):
            found += rows[1] - rows[0]
        else:
            save_tensors(parts[rows], compute(*rows))
    everyone.wait_for_everyone()
    if everyone.is_main_process:
        finish([load_tensors(part) for part in parts.values()])
        shutil.rmtree(folder)
    everyone.wait_for_everyone()
    return found


def _kept(part: Path) -> bool:
    """Whether a part is there and whole; a damaged one is computed again."""
    if not part.exists():
        return False
    try:
        load_tensors(part)
    except ValueError as error:
        log.warning(f"{error}: it is computed again")
        return False
    return True
