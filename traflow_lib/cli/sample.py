"""The command sample."""

from pathlib import Path
from typing import Annotated

import torch
from accelerate.utils import gather_object
from torch import Tensor

from .. import nets, objectives
from ..batch import labelled
from ..data import sample_files
from ..evaluation.features import to_uint8
from ..files.checks import finite
from ..files.log import log
from ..files.processes import processes
from ..jump import JumpMap
from ..pairs import draw as draw_jumps
from ..pairs import sample_start
from ..solvers import solve
from ..student.given import whole_number
from ..teachers import VelocityField, load_network
from .options import option

FEW = 4  # calls: with fewer, a teacher's samples are hardly pictures


def run(
    checkpoint: Path,
    steps: Annotated[int, option("Jumps a sample, or steps of the solver.")] = 1,
    samples: Annotated[int, option("How many to draw.")] = 64,  # torchrun takes --n for its own
    batch: Annotated[int, option("Samples at a time; several processes share the batches.")] = 500,
    seed: Annotated[int, option("Of the noise.")] = 0,
    label: Annotated[int | None, option("Class of all samples; without it, each has one at random.")] = None,
    solver: Annotated[str | None, option("euler, midpoint, heun, rk4 or dopri5 instead of jumps.")] = None,
    tol: Annotated[float, option("Of dopri5.")] = 1e-5,
    out: Annotated[
        Path,
        option("What to write: .pt (tensor), .npz (bytes), .png (one picture of all), or a folder of PNGs."),
    ] = Path("samples.pt"),
) -> None:
    """Draw samples from a checkpoint, a student's by jumps.

    They go where --out says; sample i (and its class) depends on (seed, i) alone.
    """
    net, header = load_network(checkpoint)
    everyone = processes()
    net = net.to(everyone.device)
    shape, classes = nets.sample_shape(header["network"]), getattr(net, "classes", 0)
    points = len(shape) == 1
    if min(samples, batch) < 1:
        raise ValueError(f"--samples is {samples} and --batch {batch}; both are at least 1")
    whole_number("--seed", seed, 0)
    whole_number("--steps", steps, 1)
    sample_files.check_name(out, points)
    if label is not None and not 0 <= label < classes:
        there = f"classes of {checkpoint.name} are 0 to {classes - 1}"
        there = there if classes else f"{checkpoint.name} has no classes: leave --label out"
        raise ValueError(f"--label is {label}; {there}")
    how = objectives.sampler(header.get("settings", {}))
    grid = {"tol": tol} if solver == "dopri5" else {"steps": steps}

    def draw(start: int) -> tuple[int, Tensor, Tensor | None, int]:
        """Where a batch begins, its samples, their classes, and the network calls of one."""
        stop = min(start + batch, samples)
        noise, drawn = sample_start(seed, start, stop, shape, classes, everyone.device)
        of = drawn if label is None or drawn is None else torch.full_like(drawn, label)
        if solver:
            solution = solve(labelled(VelocityField(net), of), noise, method=solver, **grid)
            x, calls = solution.x, solution.nfe
        else:
            x, calls = draw_jumps(JumpMap(net, of), how, seed, start, noise, steps), steps
        return start, x.cpu(), None if of is None else of.cpu(), calls

    starts = range(0, samples, batch)[everyone.process_index :: everyone.num_processes]
    parts = sorted(gather_object([draw(start) for start in starts]), key=lambda part: part[0])
    if not everyone.is_main_process:
        return
    x = finite(torch.cat([part[1] for part in parts]))
    of = torch.cat([part[2] for part in parts]) if classes else None
    sample_files.write(out, x, None if points else to_uint8(x), of)
    calls = max(part[3] for part in parts)
    by = f" by {solver}" if solver else ""
    log.info(
        f"{samples} samples with {calls} call{'s' * (calls > 1)} each{by}, shape {tuple(x.shape)}, in {out}"
    )
    student = "objective" in header.get("settings", {}) or header.get("s_input")
    if not student and calls < FEW:
        log.info(
            f"{checkpoint.name} is a teacher, whose flow {calls} call{'s' * (calls > 1)} cannot follow; "
            "--solver heun --steps 20 can"
        )
