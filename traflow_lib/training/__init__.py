"""Training: fit(), the one loop, its settings, checkpoints and log."""

from .config import TrainConfig
from .log import read_log
from .loop import Interrupted, Trained, TrainingDiverged, fit

__all__ = ["Interrupted", "TrainConfig", "Trained", "TrainingDiverged", "fit", "read_log"]
