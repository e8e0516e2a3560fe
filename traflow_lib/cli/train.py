"""The command train."""

from .options import DataSet, Precision, Profile, Recipe, Resume, Teacher, experiments, say


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
        say(f"{experiment.dataset}: teacher in {experiment.model('teacher').file}")
