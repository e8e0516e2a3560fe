"""Checks of the exercises of lesson 13."""

import torch
from torch import Tensor

from traflow_lib import as_velocity
from traflow_lib.batch import Batch
from traflow_lib.flow import GaussianFlow, GaussianMixtureFlow
from traflow_lib.jump import JumpMap
from traflow_lib.nets.mlp import MLP
from traflow_lib.objectives import LossTerms, Objective
from traflow_lib.solvers import solve
from traflow_lib.teachers import VelocityField

from .checking import asked, check_equal, check_tensor, tensor
from .exercise import Wrong

EXACT = GaussianMixtureFlow(torch.tensor([[2.0, 0.5], [-1.0, 1.5]]), 0.1 * torch.eye(2).expand(2, 2, 2))


def _theirs(x: Tensor, time: Tensor) -> Tensor:
    if not isinstance(time, Tensor) or time.shape != x.shape[:1]:
        raise Wrong("The network wants a time for each sample, of shape [B].")
    return -EXACT(x.flatten(1), 1 - time).reshape(x.shape)


def velocity(function) -> None:
    """A stranger's network, noise at 0, as a velocity of ours."""
    for shape in ((5, 2), (1, 1, 1, 2)):
        draws = torch.Generator().manual_seed(shape[0])
        x, t = torch.randn(shape, generator=draws), 0.05 + 0.4 * torch.rand(shape[0], generator=draws)
        known = {
            "It is asked at your time, but its clock runs the other way: near your data it must hear 1.": (
                -_theirs(x, t)
            ),
            "Its velocity is the derivative by its own time; as that runs backwards, so does it.": _theirs(
                x, 1 - t
            ),
            "Neither time nor sign is translated.": _theirs(x, t),
        }
        right = as_velocity(_theirs, noise_at=0)(x, t)
        check_tensor(asked(function, _theirs, x, t), right, known, "This is another field.", within=2e-5)


CASES = [(noise_at, sign) for noise_at in (1, 0) for sign in (1, -1)]


def convention(function) -> None:
    """The time of noise and the sign of a stranger's network, found from its losses."""
    draws, found = torch.Generator().manual_seed(0), []
    for noise_at, sign in CASES:
        turn = sign if noise_at == 1 else -sign

        def net(x: Tensor, time: Tensor, noise_at=noise_at, turn=turn) -> Tensor:
            return turn * EXACT(x, time if noise_at == 1 else 1 - time)

        with torch.random.fork_rng():
            torch.manual_seed(0)
            answer = asked(function, net, EXACT.sample(1000, draws))
        if not isinstance(answer, (tuple, list)) or len(answer) != 2:
            raise Wrong("Two whole numbers are asked for: noise_at and sign.")
        found.append(tuple(int(one) for one in answer))
    known = {
        "All signs are turned round. Is the target x_1 - x_0, and is it the smallest loss that you take?": (
            [(noise_at, -sign) for noise_at, sign in CASES]
        ),
        "For a network whose noise is at 0 the sign is turned round: its output is a derivative by its own "
        "time, which runs backwards.": [(at, sign if at == 1 else -sign) for at, sign in CASES],
        "Noise and data have changed places in its time.": [(1 - noise_at, sign) for noise_at, sign in CASES],
        "Noise and data have changed places in its time, and the sign with them.": (
            [(1 - noise_at, -sign) for noise_at, sign in CASES]
        ),
    }
    few = "Some networks are misread. Ask at several times: at t = 1/2 both directions say the same."
    check_equal(found, CASES, known, few)


def student(kind) -> None:
    """A class of students that begin as their teacher for every s, and can learn."""
    draws = torch.Generator().manual_seed(0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for dim in (2, 3):
            teacher = MLP(dim, width=16, depth=2)
            weights = [one.detach().clone() for one in teacher.parameters()]
            student = asked(kind, teacher, dim)
            x, t = torch.randn(7, dim, generator=draws), torch.rand(7, generator=draws)
            v, found = teacher(x, t).detach(), asked(student, x, t, 0 * t)
            tensor(found, x.shape)
            exact = [torch.allclose(student(x, t, share * t), v, atol=1e-6) for share in (0.0, 0.4, 1.0)]
            apart = found - v
            if not any(exact) and (apart - apart[0]).abs().max() < 1e-6:
                raise Wrong(
                    "At step 0 it is off by the same amount everywhere. What does a layer give that has no "
                    "weights left?"
                )
            if not all(exact):
                raise Wrong(
                    "At step 0 it is not its teacher"
                    + (" for every s: asked about another s it gives something else." if any(exact) else ".")
                )
            euler = solve(VelocityField(teacher), x, method="euler", steps=1).x
            check_tensor(
                JumpMap(student).sample(x), euler, {}, "Its first jump is not the teacher's Euler step."
            )
            _learn(student, GaussianFlow(torch.ones(dim), 0.1 * torch.eye(dim)), draws)
            if not all(torch.equal(*pair) for pair in zip(weights, teacher.parameters())):
                raise Wrong("Training the student changes its teacher: they share their weights.")
            # a student that is blind to s makes a difference of 0
            if (student(x, t, 0 * t) - student(x, t, t)).abs().max() < 1e-2:
                raise Wrong(
                    "It is its teacher, but after 60 steps of training still blind to s: is s used, and does "
                    "a gradient get through to what uses it? Behind zeros alone nothing learns."
                )


def _learn(student, flow: GaussianFlow, draws: torch.Generator) -> None:
    """60 steps towards the exact jumps of a Gaussian."""
    parameters = [one for one in student.parameters() if one.requires_grad]
    for _ in range(60):
        x = torch.randn(32, len(flow.means[0]), generator=draws)
        t, s = torch.rand(2, 32, generator=draws).sort(dim=0, descending=True).values
        goal = (flow.jump(x, t, s) - x) / (s - t - 1e-4)[:, None]
        loss = (student(x, t, s) - goal).square().mean()
        gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
        with torch.no_grad():  # an optimiser of torch takes seconds to import
            for one, gradient in zip(parameters, gradients):
                one -= 0.005 * (0 if gradient is None else gradient.sign())


def _gradient(loss: Tensor, student: JumpMap) -> Tensor:
    found = torch.autograd.grad(loss, list(student.parameters()), retain_graph=True, allow_unused=True)
    return torch.cat([one.flatten() for one in found if one is not None])


def objective(kind) -> None:
    """An objective: the errors of one call and, weighted, of two calls, with their gradient."""

    def no_teacher(*asked, **named):
        raise Wrong("It asks the teacher, which is not needed: the batch has what the teacher made.")

    with torch.random.fork_rng():
        torch.manual_seed(0)
        student, target = (JumpMap(MLP(2, width=16, depth=2, s_input=True)) for _ in range(2))
        for jump in (student, target):
            torch.nn.init.normal_(jump.net.s_embed.weight)
        for n, weight in ((8, 0.5), (1, 3.0), (4, 1.0)):
            x1, x0 = torch.randn(2, n, 2)
            objective = asked(kind, *(() if weight == 1 else (weight,)))
            if not isinstance(objective, Objective):
                raise Wrong("A class of its own below objectives.Objective is asked for.")
            found = asked(objective, student, target, no_teacher, Batch(x1, x0))
            if not isinstance(found, LossTerms):
                raise Wrong(f"An objective returns LossTerms; this is {type(found).__name__}.")
            middle = student(x1, 1.0, 0.5)

            def error(x: Tensor, x0=x0) -> Tensor:
                return (x - x0).square().mean()

            one, two = error(student(x1, 1.0, 0.0)), error(student(middle, 0.5, 0.0))
            chord, again = error(student((x0 + x1) / 2, 0.5, 0.0)), error(student(x1, 0.5, 0.0))
            late = error(student(middle, 1.0, 0.0))
            known = {
                "The second jump starts on the chord. Here it starts where the student itself arrived.": (
                    one + weight * chord
                ),
                "The second jump starts at the noise again.": one + weight * again,
                "The second jump is told that it starts at t = 1, but it starts at 1/2.": one + weight * late,
                "It is the target that jumps; that one learns nothing.": (
                    error(target(x1, 1.0, 0.0)) + weight * error(target(target(x1, 1.0, 0.5), 0.5, 0.0))
                ),
                "The sum over the batch grows with the batch; take the mean.": 2 * n * (one + weight * two),
                "The weight is missing, or at the wrong term.": one + two,
                "The weight belongs to the two calls.": weight * one + two,
            }
            right = one + weight * two
            check_tensor(found.total, right.detach(), known, "The loss is another one.")
            if not found.total.requires_grad:
                raise Wrong(
                    "The value is right, but no gradient flows: something in it is made for sampling only."
                )
            if not torch.allclose(_gradient(found.total, student), _gradient(right, student), atol=1e-5):
                raise Wrong(
                    "The value is right, the gradient is not: the first of the two jumps learns nothing."
                )
