"""FID and its kin of a recipe's teacher and students, as its `fid` block says; the paper has tables of it."""

from ..evaluation import inception
from ..evaluation.records import Record
from ..evaluation.scoring import Scoring
from ..files.log import log
from .evaluate import evaluate
from .experiment import Experiment


def settings(recipe: dict, method: str) -> dict:
    """The `fid` block for a method; outside the contest (the paper's ablations), as `ablation` changes it."""
    return recipe["fid"] | ({} if method in ("teacher", *recipe["methods"]) else recipe.get("ablation", {}))


def run(experiment: Experiment, methods: list[str] | None = None) -> list[Record]:
    """Records of the teacher (by dopri5) and of every method (first seed), or of those named.

    Empty, after a line that says why, if the recipe has no `fid` block or Inception's weights are not here.
    """
    recipe = experiment.recipe
    if "fid" not in recipe:
        ruler = "another ruler, the classifier of its data set"
        log.info(f"not run: FID; profile {recipe['profile']} has {ruler}")
        return []
    try:
        inception.weights(inception.TORCHSCRIPT)
    except FileNotFoundError as error:
        log.info(f"not run: FID. {error}")
        return []
    found: list[Record] = []
    for method in methods or ["teacher", *recipe["methods"]]:
        own = {"nfe": recipe["evaluate"]["nfe"]}
        if method == "teacher":
            own = {"solver": "dopri5", "tol": recipe["evaluate"]["reference"]["tol"]}
        how = Scoring.of(**own | settings(recipe, method))
        # progressive distillation has a network for each number of calls
        files = {calls: experiment.model(method, recipe["seeds"][0], calls).file for calls in how.nfe}
        for file in dict.fromkeys(files.values()):
            these = how.model_copy(update={"nfe": [calls for calls in how.nfe if files[calls] == file]})
            found += evaluate(file, experiment.dataset, these, method=method, profile=recipe["profile"])
    return found
