"""The Inception Score: how sure a classifier is of each image, and how different the images are."""

import torch
from torch import Tensor


def inception_score(logits: Tensor, split: int = 5000) -> float:
    """exp E_x KL(p(y|x) || p(y)) (Salimans et al. 2016), the mean over parts of `split` samples in order.

    logits [N, classes], softmax not yet taken; computed in float64. With N = 50,000 these are the usual ten
    parts, as in ADM's evaluator; p(y) is a part's own mean.
    """
    log_p = logits.double().log_softmax(1)
    scores = []
    for part in log_p.split(split):
        marginal = part.exp().mean(0, keepdim=True).log()
        scores.append((part.exp() * (part - marginal)).sum(1).mean().exp())
    return torch.stack(scores).mean().item()
