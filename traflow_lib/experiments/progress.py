"""What is looked at while a network trains: samples from the same noise, and their Frechet distance."""

from collections.abc import Callable
from pathlib import Path

import torch

from ..evaluation.frechet import feature_distance
from ..files.checks import finite
from ..pairs import sample_start
from ..randomness import Draws

SEED, GRID, BATCH = 7, 64, 256


def watcher(experiment, sample: Callable) -> Callable:
    """What train_once takes as `watch`; sample(net, noise, label or None) -> images.

    The recipe's `watch: {n: ...}` sets how many samples the distance takes (1,000 unless given); it needs a
    classifier. The grids are FOLDER/samples-STEP.png.
    """
    n = experiment.recipe.get("watch", {}).get("n", 1000)

    def samples(net, start: int) -> torch.Tensor:
        span = SEED, start, min(start + BATCH, n), experiment.shape, experiment.classes, experiment.device
        return finite(sample(net, *sample_start(*span)).float().cpu())

    def start(folder: Path) -> Callable:
        try:
            from torchvision.utils import save_image
        except ImportError:
            raise ImportError(
                "sample grids need torchvision: pip install torchvision, or set watch_every: 0 in the recipe"
            ) from None
        classifier = experiment.classifier() if "classifier" in experiment.recipe else None
        if classifier:
            real = classifier.features(experiment.images.sample(10 * n, Draws.seeded(SEED)))

        @torch.no_grad()
        def watch(step: int, averages: dict) -> dict[str, float]:
            found = {}
            for number, (decay, net) in enumerate(averages.items()):
                x = torch.cat([samples(net, first) for first in range(0, n, BATCH)])
                if number == 0:
                    save_image(x[:GRID].clamp(-1, 1) / 2 + 0.5, folder / f"samples-{step:09d}.png", nrow=8)
                if classifier:
                    name = f"fd-{experiment.dataset}-cnn ema {decay}"
                    found[name] = feature_distance(classifier.features(x), real)
            return found

        return watch

    return start
