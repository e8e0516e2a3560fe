"""The command sample."""

from pathlib import Path
from typing import Annotated

import torch
import typer
from accelerate.utils import gather_object

from .. import nets
from ..files.checks import finite
from ..files.processes import processes
from ..jump import JumpMap
from ..pairs import sample_start
from ..teachers import load_network


def run(
    checkpoint: Path,
    steps: Annotated[int, typer.Option(help="Network calls a sample.")] = 1,
    samples: Annotated[int, typer.Option(help="How many to draw.")] = 64,  # torchrun takes --n for its own
    batch: Annotated[int, typer.Option(help="Samples at a time; several processes share the batches.")] = 500,
    seed: Annotated[int, typer.Option(help="Of the noise.")] = 0,
    out: Annotated[Path, typer.Option(help="The tensor file to write.")] = Path("samples.pt"),
) -> None:
    """Draw samples from a student checkpoint.

    They go into a tensor file [N, ...]; sample i (and its class) depends on (seed, i) alone.
    """
    net, header = load_network(checkpoint)
    everyone = processes()
    net = net.to(everyone.device)
    shape, classes = nets.sample_shape(header["network"]), getattr(net, "classes", 0)
    starts = range(0, samples, batch)
    parts = []
    for start in starts[everyone.process_index :: everyone.num_processes]:
        stop = min(start + batch, samples)
        noise, label = sample_start(seed, start, stop, shape, classes, everyone.device)
        parts.append((start, JumpMap(net, label).sample(noise, steps).cpu()))
    parts = sorted(gather_object(parts), key=lambda part: part[0])
    if everyone.is_main_process:
        x = finite(torch.cat([part for _, part in parts]))
        torch.save(x, out)
        calls = f"{steps} call{'s' * (steps > 1)} each"
        print(f"{samples} samples with {calls}, shape {tuple(x.shape)}, in {out}")
