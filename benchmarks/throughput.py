"""Images a second of training with the paper's two losses, one speed-up after the other.

Python benchmarks/throughput.py [profile].

The paper tells 282.3 images/s with the velocity loss and 71.5 with the consistency loss (CIFAR-10's 55.7M
network, one H100). Here the network is that of the recipe fashion_mnist at the profile (gpu unless given),
the losses are traflow_v4's, alone; a plain regression (distill) stands beside them. Pairs come from a small
cache, but for the last variant, which solves them at every step as the paper does. Every speed is a record of
recipe `throughput`. The weights are untrained: speed does not depend on them.
"""

import sys
from pathlib import Path
from statistics import median
from time import time

from traflow_lib.evaluation import cost, records
from traflow_lib.evaluation.models import Model
from traflow_lib.experiments import recipes, settings
from traflow_lib.experiments.experiment import Experiment
from traflow_lib.training.log import read_log

ALONE = {"weighting": "fixed", "denoising": 0.0}
LOSSES = {
    "velocity": {"objective": "traflow_v4", "options": ALONE | {"consistency": 0.0}},
    "consistency": {"objective": "traflow_v4", "options": ALONE | {"velocity": 0.0}},
    "distill": {"objective": "distill"},
}
PLAIN = {"precision": "fp32", "channels_last": False, "compile": False, "batch": 128}
# each line keeps what the lines above it brought
VARIANTS = {
    "fp32": {},
    "bf16": {"precision": "bf16"},
    "bf16 channels_last": {"precision": "bf16", "channels_last": True},
    "bf16 channels_last compile": {"precision": "bf16", "channels_last": True, "compile": True},
    "bf16 channels_last batch-256": {"precision": "bf16", "channels_last": True, "batch": 256},
    "bf16 channels_last batch-512": {"precision": "bf16", "channels_last": True, "batch": 512},
    "bf16 channels_last online": {"precision": "bf16", "channels_last": True, "online": True},
}
WINDOWS, STEPS = (
    3,
    6,
)  # one speed a window of the log; the first, in which kernels are chosen and compiled, does not count


def speeds(recipe: dict, loss: str, variant: dict) -> tuple[Experiment, Model, list[float]]:
    """The experiment, its student, and images a second in each window of training."""
    train = PLAIN | {key: value for key, value in variant.items() if key != "online"}
    if recipe["profile"] == "smoke":
        train["batch"] //= 16
    train |= {
        "steps": (WINDOWS + 1) * STEPS,
        "log_every": STEPS,
        "warmup": 0,
        "watch_every": 0,
        "save_every": 10**6,
    }
    change = {
        "student": {"train": train},
        "students": {loss: LOSSES[loss]},
        "pairs": {"online": variant.get("online", False)},
    }
    experiment = Experiment(recipes.merge(recipe, change))
    seed = int(time())  # never trained before, so that it is trained now
    model = experiment.model(loss, seed)
    return experiment, model, [line["samples_per_second"] for line in read_log(model.file.parent)[1:]]


def main(profile: str = "gpu") -> None:
    recipe = recipes.load("fashion_mnist", profile)
    teacher = {"steps": 1, "batch": 8, "warmup": 0, "watch_every": 0}
    recipe = recipes.merge(
        recipe,
        {"recipe": "throughput", "dataset": "shapes32x1", "teacher": {"train": teacher}, "pairs": {"n": 64}},
    )
    for loss in LOSSES:
        for name, variant in VARIANTS.items():
            try:
                experiment, model, found = speeds(recipe, loss, variant)
            except (
                Exception
            ) as error:  # one that does not run (memory, a compiler's limit) must not cost the others
                print(f"{loss} {name}: failed, {type(error).__name__}: {str(error).splitlines()[0]}")
                continue
            header, net = model.header, model.net
            record = records.Record(
                recipe="throughput",
                profile=profile,
                dataset="shapes32x1",
                stand_in=True,
                method=f"{loss} {name}",
                nfe=0,
                sampler="training",
                metrics={"images_per_second": found},
                seeds=list(range(len(found))),
                n_generated=0,
                n_reference=0,
                split="none",
                hash=settings.identity(header["settings"]),
                parameters=cost.parameters(net),
                macs=cost.macs(net, experiment.shape),
                training=header["training"],
            )
            file = records.save(record)
            print(f"{loss} {name}: {median(found):.1f} images/s, {Path(file).name}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
