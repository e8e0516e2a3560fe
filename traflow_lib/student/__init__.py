"""Students of anyone's teacher: distil one, draw from it, measure it, keep it."""

from .distill import distill
from .student import Student, load

__all__ = ["Student", "distill", "load"]
