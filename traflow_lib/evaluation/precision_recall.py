"""Quality and diversity apart: precision and recall, density and coverage."""

import torch
from torch import Tensor

CHUNK = 1000  # generated samples compared with all others at a time: 1,000 x 50,000 distances are 0.2 GB


def precision_recall(real: Tensor, fake: Tensor, k: int = 3, k_density: int = 5) -> dict[str, float]:
    """Precision and recall (Kynkaanniemi et al. 2019), density and coverage (Naeem et al. 2020).

    Of features [N, D] and [M, D]. A sample's ball reaches to its k-th nearest neighbour in its own set.
    precision: share of fake samples inside the ball of a real one; recall: the same with the sets exchanged;
    density: balls of real samples that a fake one is in, divided by k_density; coverage: share of real balls
    with a fake sample inside. k = 3 is ADM's evaluator's choice, k_density = 5 the paper's. Memory: CHUNK x
    max(N, M) floats.
    """
    if min(len(real), len(fake)) <= max(k, k_density):
        needed, got = f"more than {max(k, k_density)} samples on each side", f"{len(real)} and {len(fake)}"
        raise ValueError(f"precision and recall need {needed}; got {got}")
    centre = real.mean(0)  # which costs distances fewer digits
    real, fake = real - centre, fake - centre
    real_radii, fake_radii = _radii(real, (k, k_density)), _radii(fake, (k,))
    recalled, covered = (torch.zeros(len(real), dtype=torch.bool, device=real.device) for _ in range(2))
    precise = balls = 0.0
    for part, radius in zip(fake.split(CHUNK), fake_radii[0].split(CHUNK)):
        distance = torch.cdist(part, real)
        precise += (distance <= real_radii[0]).any(1).sum().item()
        inside = distance <= real_radii[1]
        balls += inside.sum().item()
        covered |= inside.any(0)
        recalled |= (distance <= radius[:, None]).any(0)
    return {
        "precision": precise / len(fake),
        "recall": recalled.double().mean().item(),
        "density": balls / (k_density * len(fake)),
        "coverage": covered.double().mean().item(),
    }


def _radii(features: Tensor, neighbours: tuple[int, ...]) -> list[Tensor]:
    """Distance [N] of each sample to its k-th nearest other one, for every k of `neighbours`."""
    found = []
    for number, part in enumerate(features.split(CHUNK)):
        distance = torch.cdist(part, features)
        rows = torch.arange(len(part), device=features.device)
        distance[rows, rows + number * CHUNK] = torch.inf  # a sample is not its own neighbour
        found.append(distance.topk(max(neighbours), largest=False).values)
    nearest = torch.cat(found)
    return [nearest[:, k - 1].contiguous() for k in neighbours]
