"""What every image recipe costs on this GPU: speed and peak memory of each method at full size, and rounding.

python benchmarks/gpu_check.py [profile=gpu] [minutes=8] [recipe ...]

Every case trains each of its methods for a few steps by the kit's own code (pairs, fit, checkpoint), makes
images with one call, and compares the precisions of that call with float64. The images are random and the
teacher is hardly trained: speed and memory do not depend on them. Where a method does not fit, fit() halves
the samples taken in one pass until it does. Every measurement is a record of recipe `gpu-check`;
what the minutes do not suffice for is named.
"""

import gc
import shutil
import sys
from dataclasses import dataclass, field
from time import perf_counter

import torch
from throughput import LOSSES
from torch import Tensor

from traflow_lib.batch import labelled
from traflow_lib.data.images import Images
from traflow_lib.evaluation import records
from traflow_lib.experiments import recipes, settings
from traflow_lib.experiments.experiment import Experiment
from traflow_lib.files.chunks import chunk
from traflow_lib.nets.precision import DTYPES, full_float32
from traflow_lib.nets.sizes import EDM_CIFAR10
from traflow_lib.pairs import sample_noise
from traflow_lib.teachers import VelocityField
from traflow_lib.training.log import read_log

# the paper tells 282.3 and 71.5 images/s of these two, with CIFAR-10's 55.7M network on one H100
PAPERS_LOSSES = {name: LOSSES[name] for name in ("velocity", "consistency")}
COMPILED = {"student": {"train": {"compile": True}}}
TIME = 0.7  # at which a call is timed
STEPS = 3  # of a training; the first, in which kernels are chosen, is not timed


@dataclass(frozen=True)
class Case:
    """A recipe at a profile.

    net: takes the place of its `net` block; change: what is merged into it; methods: those of the recipe
    unless named; name: what its records add to the methods' names.
    """

    recipe: str
    profile: str = ""
    net: dict | None = None
    change: dict = field(default_factory=dict)
    methods: tuple[str, ...] = ()
    name: str = ""


CASES = [
    Case("cifar10", "paper", EDM_CIFAR10, {"students": PAPERS_LOSSES}, tuple(PAPERS_LOSSES)),
    Case("cifar10"),
    Case("fashion_mnist"),
    Case("celeba64"),
    Case("imagenet64"),
    Case("ffhq64"),
    Case("cifar10", change=COMPILED, methods=("distill",), name=" compiled"),
]


def main(profile: str = "gpu", minutes: str = "8", *only: str) -> None:
    """Run the cases in turn; stop when the minutes are over."""
    end = perf_counter() + 60 * float(minutes)
    for case in CASES:
        if only and case.recipe not in only:
            continue
        experiment = prepared(case, profile)
        print(f"{case.recipe}, profile {experiment.recipe['profile']}{case.name}", flush=True)
        methods = case.methods or experiment.recipe["methods"]
        for method in methods if case.name else ("teacher", *methods):
            attempt(experiment, method, case.name, end, training)
        if not case.name:
            for precision in DTYPES:
                attempt(experiment, precision, "", end, sampling)
        del experiment
        free()


def attempt(experiment: Experiment, what: str, suffix: str, end: float, measure) -> None:
    """Measure one thing, print and record it; an error is printed and costs the others nothing."""
    if perf_counter() > end:
        print(f"  {what}{suffix}: not run, the minutes are over", flush=True)
        return
    start = perf_counter()
    try:
        record = measure(experiment, what, suffix)
    except Exception as error:  # whatever it is, the other measurements are worth having
        print(f"  {what}{suffix}: FAILED, {type(error).__name__}: {str(error).splitlines()[0]}", flush=True)
        return
    records.save(record)
    numbers = ", ".join(f"{name} {values[0]:.4g}" for name, values in record.metrics.items())
    print(f"  {record.method}: {numbers}; {record.training} ({perf_counter() - start:.0f} s)", flush=True)


def prepared(case: Case, profile: str) -> Experiment:
    """The case's experiment with random images, a teacher that is trained for a few steps, and few pairs."""
    profile = case.profile if case.profile and profile != "smoke" else profile
    short = {
        "steps": STEPS, "log_every": STEPS, "warmup": 0, "watch_every": 0, "save_every": 10**6, "keep": 1,
    }  # fmt: skip
    recipe = recipes.merge(recipes.load(case.recipe, profile), case.change)
    if case.net and profile != "smoke":
        recipe["net"] = case.net
    teacher = {"kind": "trained", "seed": 0, "train": recipe["student"]["train"] | short}
    recipe = recipes.merge(
        recipe,
        {
            "recipe": "gpu-check",
            "teacher": teacher,
            "student": {"train": short},
            "pairs": {"n": 64, "online": False},
        },
    )
    experiment = Experiment(recipe)
    classes = experiment.classes
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (512, *experiment.shape), dtype=torch.uint8, generator=generator)
    labels = torch.arange(512) % classes if classes else None
    experiment.images = Images(pixels, labels, recipe["data"].get("flip", False), "random")
    return experiment


def training(experiment: Experiment, method: str, suffix: str) -> records.Record:
    """A few steps of a teacher's or student's training: images a second, peak memory, the last loss."""
    free()
    model = experiment.model(method)
    if method == "teacher":
        fill_zeros(model.net)
    header, folder = model.header, model.file.parent
    log = read_log(folder)[-1]
    metrics = {"images_per_second": log["samples_per_second"], "loss": log["loss"]}
    if peak := header["training"].get("peak_memory_gib"):
        metrics["peak_memory_gib"] = peak
    if method != "teacher":  # a teacher is needed to the end
        shutil.rmtree(folder)
    train = header["settings"]["train"]
    shown = {key: train[key] for key in ("batch", "precision", "channels_last", "compile")}
    size = train["micro_batch"] or train["batch"]
    taken, refused = header["training"].get("samples_a_pass", size), []
    while size > taken:  # fit() halves what does not fit
        refused.append(size)
        size //= 2
    shown |= {"micro_batch": taken if refused else train["micro_batch"], "refused": refused}
    return _record(experiment, method + suffix, "training", metrics, shown, header)


def sampling(experiment: Experiment, precision: str, suffix: str) -> records.Record:
    """One call of the network: images a second, peak memory, and its relative error against float64."""
    free()
    net, device = experiment.teacher().net, experiment.device
    on_gpu = device.type == "cuda"
    n, few = (chunk(experiment.shape), 4) if on_gpu else (8, 2)
    x = sample_noise(0, 0, n, experiment.shape).to(device)
    label = torch.arange(n, device=device) % experiment.classes if experiment.classes else None
    call = labelled(VelocityField(net, precision), label)
    exact = labelled(VelocityField(net.double()), label)(x[:few].double(), TIME)
    net.float()
    error = {"relative_error": relative(call(x[:few], TIME), exact)}
    if precision == "fp32" and on_gpu:  # torch lets convolutions round to TF32
        with full_float32():
            error["relative_error_without_tf32"] = relative(call(x[:few], TIME), exact)
    call(x, TIME)  # kernels are chosen
    free()
    synchronise(device)
    start, repeats = perf_counter(), 5
    for _ in range(repeats):
        call(x, TIME)
    synchronise(device)
    metrics = {"images_per_second": repeats * n / (perf_counter() - start), **error}
    if on_gpu:
        metrics["peak_memory_gib"] = torch.cuda.max_memory_allocated() / 2**30
    header, shown = experiment.model("teacher").header, {"batch": n, "precision": precision}
    return _record(experiment, f"one call in {precision}", "jumps", metrics, shown, header)


def relative(found: Tensor, exact: Tensor) -> float:
    return ((found.double() - exact).norm() / exact.norm()).item()


def _record(experiment, method: str, sampler: str, metrics: dict, shown: dict, header: dict):
    return records.Record(
        recipe="gpu-check",
        profile=experiment.recipe["profile"],
        dataset=experiment.dataset,
        method=method,
        nfe=int(sampler == "jumps"),
        sampler=sampler,
        metrics={name: [value] for name, value in metrics.items()},
        seeds=[0],
        n_generated=shown["batch"] if sampler == "jumps" else 0,
        n_reference=0,
        split="none",
        hash=settings.identity(header["settings"]),
        stand_in=True,
        parameters=header["training"]["parameters"],
        training=shown,
    )


@torch.no_grad()
def fill_zeros(net: torch.nn.Module) -> None:
    """Give layers that start at zero some weights, or rounding and finite losses would show too little."""
    torch.manual_seed(0)
    for weight in net.parameters():
        if weight.dim() > 1 and weight.abs().max() < 0.01:
            weight.normal_(std=0.02)


def synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def free() -> None:
    """Give back what no tensor needs, and begin to count peak memory anew."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


if __name__ == "__main__":
    main(*sys.argv[1:])
