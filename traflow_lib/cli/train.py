"""The command train."""

from ..files.log import log
from .options import DataSet, Precision, Profile, Recipe, Resume, Teacher, experiments


def run(
    recipe: Recipe,
    profile: Profile = "laptop",
    data: DataSet = None,
    precision: Precision = None,
    teacher: Teacher = None,
    resume: Resume = False,
) -> None:
    """Train (or find) the teacher of a recipe."""
    for experiment in experiments(recipe, profile, data, precision, teacher, resume):
        log.info(f"{experiment.dataset}: teacher in {experiment.model('teacher').file}")
