"""What is looked at while a network trains.

A grid of samples from the same noise, and their Frechet distance where there is a classifier.
"""

from collections.abc import Callable
from pathlib import Path

import torch

from ..evaluation.frechet import feature_distance
from ..files.checks import finite
from ..pairs import sample_start
from ..randomness import Draws

SEED, GRID = 7, 64


def watcher(experiment, sample: Callable) -> Callable:
    """What Models.trained takes as `watch`; sample(net, noise, label or None) -> images.

    The recipe's `watch: {n: ...}` sets how many samples the distance takes (1,000 unless given). The grids
    are FOLDER/samples-STEP.png.
    """

    def start(folder: Path) -> Callable:
        try:
            from torchvision.utils import save_image
        except ImportError:
            raise ImportError(
                "sample grids need torchvision: pip install torchvision, or set watch_every: 0 in the recipe"
            ) from None
        n = experiment.recipe.get("watch", {}).get("n", 1000)
        classifier = experiment.classifier() if "classifier" in experiment.recipe else None
        real = (
            classifier.features(experiment.images.sample(10 * n, Draws.seeded(SEED))) if classifier else None
        )

        @torch.no_grad()
        def watch(step: int, averages: dict) -> dict[str, float]:
            found = {}
            for number, (decay, net) in enumerate(averages.items()):
                x = torch.cat(
                    [
                        _samples(experiment, sample, net, start, min(start + 256, n))
                        for start in range(0, n, 256)
                    ]
                )
                if number == 0:
                    save_image(x[:GRID].clamp(-1, 1) / 2 + 0.5, folder / f"samples-{step:09d}.png", nrow=8)
                if classifier and real is not None:
                    found[f"fd-{experiment.dataset}-cnn ema {decay}"] = feature_distance(
                        classifier.features(x), real
                    )
            return found

        return watch

    return start


def _samples(experiment, sample: Callable, net, start: int, stop: int) -> torch.Tensor:
    begin = sample_start(SEED, start, stop, experiment.shape, experiment.classes, experiment.device)
    return finite(sample(net, *begin).float().cpu())
