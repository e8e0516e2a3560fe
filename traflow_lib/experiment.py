"""From a recipe to trained models: each is loaded if it was trained with exactly these settings, else trained and kept.

A model's name ends in a fingerprint of everything that decides it, so profiles, seeds and data sets can never be mixed up. Models are
looked for in results/checkpoints (committed), then in runs/ (this machine's own).
"""

from copy import deepcopy
from pathlib import Path

import torch
from torch import Tensor, nn

from . import nets, objectives, paths, recipes
from .data import images, toy2d
from .evaluation.classifier import accuracy, classification_loss
from .flow import velocity_loss
from .jump import JumpMap
from .objectives.base import LossTerms
from .pairs import OnlinePairs, PairCache, make_pairs
from .teachers import VelocityField, load_network, save_network
from .training import TrainConfig, fit


def with_choice(student: dict, choice: dict) -> dict:
    """A student's settings with a learning rate (`lr`) and options chosen for it, as in a recipe's `chosen` block.

    An option of a method trained in stages goes to every stage whose objective has it.
    """
    student = deepcopy(student)
    if "lr" in choice:
        student["train"]["lr"] = choice["lr"]
    for stage in student.get("stages", [student]):
        known = objectives.get(stage.get("objective", student.get("objective"))).__dataclass_fields__
        stage["options"] = stage.get("options", {}) | {key: value for key, value in choice.items() if key in known}
    return student


class Experiment:
    """One recipe at one profile on one data set.

    say: called with one line whenever something takes time (print in notebooks).
    """

    def __init__(self, recipe: dict, dataset: str | None = None, say=print):
        self.recipe, self.say = recipe, say
        self.dataset = dataset or recipe.get("dataset") or recipe["datasets"][0]
        self.is_toy = self.dataset in toy2d.TOYS
        if self.is_toy:
            self.toy = toy2d.get(self.dataset)
            self.shape: tuple = (2,)
        else:
            self.images, self.labels = images.load(self.dataset)
            self.shape = tuple(self.images.shape[1:])
        self._nets: dict[str, nn.Module] = {}
        self._pairs: dict[Path, PairCache] = {}
        self.headers: dict[str, dict] = {}
        self.files: dict[str, Path] = {}

    def data(self, n: int, seed: int | None = None) -> Tensor:
        """n data points: a seeded sample of a toy, or random images of the set (seed None: torch's global generator)."""
        generator = None if seed is None else torch.Generator().manual_seed(seed)
        if self.is_toy:
            return self.toy.sample(n, generator)
        return self.images[torch.randint(len(self.images), (n,), generator=generator)]

    def teacher_settings(self) -> dict:
        return {"dataset": self.dataset, "net": self.recipe["net"], **self.recipe["teacher"]}

    def pair_settings(self) -> dict:
        # the precision the teacher runs in changes the pairs it makes
        precision = {"precision": self.recipe["precision"]} if "precision" in self.recipe else {}
        return {"teacher": self.teacher_settings(), **self.recipe["pairs"], **precision}

    def student_settings(self, method: str, seed: int) -> dict:
        """Everything that decides a student: its pairs, objective, options and training.

        "name@time" is the method `name` with as many steps as take the time that the recipe's reference method needs for its own.
        """
        name, _, budget = method.partition("@")
        if name not in self.recipe["students"] or budget not in ("", "time"):
            raise ValueError(f"unknown method '{method}' in recipe {self.recipe['recipe']}; there are {', '.join(self.recipe['students'])}")
        student = recipes.merge(self.recipe["student"], self.recipe["students"][name] or {})
        if choice := (self.recipe.get("chosen") or {}).get(name):
            student = with_choice(student, choice)
        if budget:
            if not self.recipe.get("step_cost"):
                raise ValueError(f"recipe {self.recipe['recipe']} has no step_cost to make '{method}' from; bench --cost measures it")
            cost = self.recipe["step_cost"]
            student["train"]["steps"] = round(student["train"]["steps"] * cost[self.recipe["time_of"]] / cost[name])
        return {"pairs": self.pair_settings(), **student, "seed": seed}

    @staticmethod
    def stages(settings: dict) -> list[dict]:
        """A student's settings as the stages it is trained in, one unless the recipe lists several with their `share` of the steps."""
        shared = {key: value for key, value in settings.items() if key != "stages"}
        if "stages" not in settings:
            return [shared]
        stages = [recipes.merge(shared, stage) for stage in settings["stages"]]
        for number, stage in enumerate(stages):
            stage["train"]["steps"] = round(stage["train"]["steps"] * stage.pop("share"))
            stage["after"] = recipes.fingerprint(stages[number - 1]) if number else None
        return stages

    def teacher(self):
        """The pre-trained rectified flow, v(x, t); `kind: exact` in the recipe takes a toy's closed form."""
        settings = self.teacher_settings()
        if settings.get("kind") == "exact":
            if not self.is_toy or self.toy.flow is None:
                raise ValueError(f"{self.dataset} has no closed-form flow; 8gaussians has")
            return self.toy.flow
        net = self._trained("teacher", settings, settings["net"], self._teacher_net, settings["train"], self._teacher_loss, settings["seed"])
        return VelocityField(net, self.recipe.get("precision", "fp32"))

    def student(self, method: str, seed: int = 0, calls: int | None = None) -> JumpMap:
        """The student of one method and seed; calls: if one of its stages is meant for this number of calls, the student of that stage."""
        role, net, training = f"{method}-seed{seed}", None, {}
        stages = self.stages(self.student_settings(method, seed))
        for number, stage in enumerate(stages):
            name = role if len(stages) == 1 else f"{role}-stage{number}"
            net = self._stage(name, stage, net)
            # the header of a student tells the training it took from the beginning
            own = self.headers[name]["training"]
            training = own | {key: training.get(key, 0) + own[key] for key in ("steps", "seconds")}
            self.headers[role], self.files[role] = self.headers[name] | {"training": training}, self.files[name]
            if calls is not None and stage.get("calls") == calls:
                break
        return JumpMap(net)

    def _stage(self, name: str, settings: dict, previous: nn.Module | None) -> nn.Module:
        """The network of one stage of training, which starts from the previous stage's, the first from the teacher's."""
        objective = objectives.get(settings["objective"], **settings.get("options", {}))
        config = {**settings["pairs"]["teacher"]["net"], **settings.get("net", {})}
        teacher = self.teacher()
        before = VelocityField(previous, self.recipe.get("precision", "fp32")) if previous else teacher

        def start() -> nn.Module:
            net = nets.build(config, s_input=objective.s_input)
            return nets.warm_start(net, before.net) if isinstance(before, VelocityField) else net

        def loss(train: TrainConfig):
            pairs = self.pairs((before, settings["after"])) if settings.get("new_pairs") else self.pairs()
            if settings.get("n_pairs"):
                if not isinstance(pairs, PairCache):
                    raise ValueError("n_pairs needs pairs solved beforehand; take `online: true` out of the recipe's pairs")
                pairs = pairs.first(settings["n_pairs"])

            def loss_fn(net, ema_net, progress) -> LossTerms:
                batch = pairs.batch(train.batch * objective.draws, path=objective.needs_path)
                batch.data = self.data(len(batch.x1)) if objective.needs_data else None
                batch.progress = progress
                return objective(JumpMap(net), JumpMap(ema_net), before if objective.from_previous else teacher, batch)

            return loss_fn

        return self._trained(name, settings, config, start, settings["train"], loss, settings["seed"], s_input=objective.s_input)

    def pairs(self, of: tuple | None = None) -> PairCache | OnlinePairs:
        """The teacher's pairs with their paths, solved once and kept in runs/; with `online: true` in the recipe, fresh ones every step.

        of: (velocity, fingerprint) of another flow whose pairs are wanted, as for the k-th reflow.
        """
        settings = self.pair_settings() | ({"of": of[1]} if of else {})
        velocity = of[0] if of else self.teacher()
        solver = {key: settings[key] for key in ("method", "steps", "tol") if key in settings}
        if settings.get("online"):
            return OnlinePairs(velocity, self.shape, **solver)
        file = paths.runs() / f"{self.dataset}-pairs-{recipes.fingerprint(settings)}.safetensors"
        if file not in self._pairs:
            if not file.exists():
                self.say(f"{self.dataset}: solving {settings['n']:,} teacher pairs")
                make_pairs(velocity, settings["n"], self.shape, settings["seed"], keep_path=True, **solver).save(file)
            self._pairs[file] = PairCache.load(file)
        return self._pairs[file]

    def classifier(self) -> nn.Module:
        """The feature extractor of the FD metric, with its held-out accuracy in headers["classifier"]."""
        settings = {"dataset": self.dataset, **self.recipe["classifier"]}
        train_set, test_set = images.load(self.dataset, "train"), images.load(self.dataset, "test")

        def loss(train: TrainConfig):
            return classification_loss(*train_set, train.batch)

        def finish(net: nn.Module) -> dict:
            net.calibrate(train_set[0])
            return {"accuracy_train": accuracy(net, *train_set), "accuracy_test": accuracy(net, *test_set), "n_test": len(test_set[1])}

        return self._trained("classifier", settings, settings["net"], lambda: nets.build(settings["net"]), settings["train"], loss, settings["seed"], finish)

    def _teacher_net(self) -> nn.Module:
        return nets.build(self.recipe["net"])

    def _teacher_loss(self, train: TrainConfig):
        def loss_fn(net, ema_net, progress) -> LossTerms:
            x0 = self.data(train.batch)
            return LossTerms(velocity_loss(net, x0, torch.randn_like(x0), torch.rand(train.batch)), {})

        return loss_fn

    def _trained(self, role: str, settings: dict, config: dict, start, train: dict, make_loss, seed: int, finish=None, s_input: bool = False) -> nn.Module:
        """The network of these settings. start() builds it, make_loss(train) gives fit() its loss, finish(net) adds facts to the header."""
        name = f"{self.dataset}-{role}-{recipes.fingerprint(settings)}"
        if name in self._nets:
            return self._nets[name]
        file = next((f for f in (paths.committed("checkpoints", f"{name}.safetensors"), paths.runs() / name / "model.safetensors") if f.exists()), None)
        if file is None:
            train = TrainConfig.of(train)
            self.say(f"{self.dataset}: training {role} for {train.steps:,} steps")
            torch.manual_seed(seed)
            net, statistics = fit(start(), make_loss(train), train, paths.runs() / name, seed=seed, label=f"{self.dataset} {role}")
            file = paths.runs() / name / "model.safetensors"
            save_network(file, net, config, s_input=s_input, training=statistics, settings=settings, **(finish(net) if finish else {}))
        net, self.headers[role] = load_network(file)
        self.files[role], self._nets[name] = file, net.requires_grad_(False)
        return net
