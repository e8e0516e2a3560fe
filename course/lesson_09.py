"""Exercises of lesson 09: CelebA's crop, the disk that pairs take, rulers that disagree."""

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

from traflow_lib.data.image_set import from_uint8
from traflow_lib.data.readers import celeba_face
from traflow_lib.evaluation.frechet import feature_distance
from traflow_lib.evaluation.geometry import paired_rmse
from traflow_lib.pairs import make_pairs

from .checking import asked, check_equal, check_number, check_tensor, tensor
from .exercise import Exercise, Wrong


def _box(function) -> None:
    for width, height, side in ((178, 218, 140), (300, 200, 64)):
        left, top = (width - side) // 2, (height - side) // 2
        known = {
            "Across and down have changed places: left comes first.": (top, left, top + side, left + side),
            "Pillow wants the right and lower edges, not how wide and high the box is.": (
                left,
                top,
                side,
                side,
            ),
            "This is the upper left corner of the picture, not its middle.": (0, 0, side, side),
            "The box is one pixel too small: right and lower edge lie outside of it.": (
                (left, top, left + side - 1, top + side - 1)
            ),
        }
        found = asked(function, width, height, side)
        if not isinstance(found, (tuple, list)) or len(found) != 4:
            raise Wrong("Four whole numbers are asked for.")
        check_equal(tuple(found), (left, top, left + side, top + side), known, "The box is somewhere else.")


def _face(function) -> None:
    across, down = np.arange(178), np.arange(218)[:, None]
    stripes = 60 * (across // 2 % 2) * (down > 100)
    pixels = np.stack([across + 0 * down, down + 0 * across, 40 + stripes + across // 4], 2).astype(np.uint8)

    def as_numbers(image) -> Tensor:
        return from_uint8(torch.from_numpy(np.array(image))).permute(2, 0, 1)

    def cut(*box: int) -> Tensor:
        return as_numbers(picture.crop(box).resize((64, 64), Image.Resampling.BILINEAR))

    picture = Image.fromarray(pixels)
    part = torch.from_numpy(pixels)[39:179, 19:159].permute(2, 0, 1)[None].float()
    right = as_numbers(celeba_face(picture))
    known = {
        "The whole picture is shrunk, and faces get broader: the crop is missing.": cut(0, 0, 178, 218),
        "The box is right, but the filter has seen what lies beyond it. Cut first, then shrink.": as_numbers(
            picture.resize((64, 64), Image.Resampling.BILINEAR, box=(19, 39, 159, 179))
        ),
        "It is cut 20 pixels too high and too far to the right.": cut(39, 19, 179, 159),
        "The middle 64 pixels are cut out, not shrunk.": cut(57, 77, 121, 141),
        "Fine stripes become coarse ones: without antialiasing many pixels are not looked at.": (
            interpolate(part, (64, 64), mode="bilinear")[0].round() / 127.5 - 1
        ),
        "Rows and columns have changed places.": right.transpose(1, 2),
        "The pixels are right, but in another range than networks take.": (right + 1) / 2,
        "The pixels are right, but those of a file; networks take [-1, 1].": (right + 1) * 127.5,
    }
    # Pillow and torch round their weights differently, by one of 255 levels
    check_tensor(asked(function, pixels), right, known, "These are other pixels.", within=0.012)


def _disk(function) -> None:
    for n, steps, shape in ((20_000, 18, (3, 64, 64)), (500, 4, (1, 8, 8))):
        pairs = make_pairs(lambda x, t: x, 2, shape, 0, keep_path=True, method="euler", steps=steps)
        assert pairs.path is not None
        one = sum(part[0].nbytes for part in (pairs.x1, pairs.x0, pairs.path))
        numbers, right = pairs.x0[0].numel(), n * one / 2**30
        known = {
            "One state is missing: so many steps have a beginning and an end.": right
            - 2 * n * numbers / 2**30,
            "The states of the path take two bytes each, not four.": n * numbers * 4 * (steps + 3) / 2**30,
            "These are gigabytes of 1000^3 bytes.": n * one / 1e9,
            "This is the path alone; noise and image stand beside it.": n * numbers * 2 * (steps + 1) / 2**30,
            "These are noise and image without the path.": n * numbers * 8 / 2**30,
        }
        check_number(asked(function, n, steps, shape), right, known)


def _fooled(function) -> None:
    draws = torch.Generator().manual_seed(0)
    for shape in ((24, 3, 4, 4), (50, 1, 6, 6)):
        images = torch.rand(shape, generator=draws) * torch.linspace(0.1, 1, shape[3]) - 0.3
        before, features = images.clone(), torch.randn(images[0].numel(), 12, generator=draws)
        found = tensor(asked(function, images), shape)
        if not torch.equal(images, before):
            raise Wrong("It changes the reference itself; make a new set.")
        fd = feature_distance(images.flatten(1) @ features, found.flatten(1) @ features)
        if fd > 1e-4:
            raise Wrong(
                f"The ruler sees a difference ({fd:.2g}): mean or covariance of the features changed."
            )
        if paired_rmse(found, images) == 0:
            raise Wrong("This is the reference: the paired error is 0, too.")
        if paired_rmse(found, images) < images.std(0).square().mean().sqrt():
            raise Wrong("The paired error is small: most images are where they were.")


FACE = """import numpy as np
import torch
from PIL import Image

def face(pixels):
    image = Image.fromarray(pixels).crop((19, 39, 159, 179))
    image = image.resize((64, 64), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(image)).permute(2, 0, 1) / 127.5 - 1"""

TORCH_FACE = """import torch
from torch.nn.functional import interpolate

def face(pixels):
    x = torch.from_numpy(pixels).permute(2, 0, 1)[None].float()
    x = interpolate(x[:, :, 39:179, 19:159], (64, 64), mode="bilinear", antialias=True)
    return x[0].round() / 127.5 - 1"""

BOX = """def box(width, height, side):
    left, top = (width - side) // 2, (height - side) // 2
    return left, top, left + side, top + side"""

DISK = """from math import prod

def gib(n, steps, shape):
    one = 4 + 4 + 2 * (steps + 1)
    return n * one * prod(shape) / 2**30"""

EXERCISES = [
    Exercise(
        number="09.1",
        grade="warm-up",
        title="The box of a crop",
        text="""Pillow's `crop` takes a box `(left, top, right, bottom)` in pixels, counted from the
upper left corner; right and bottom lie just outside of it. Write the box of the central square of `side`
pixels in a picture of `width` x `height`, for instance of 140 pixels in CelebA's 178 x 218. (All
differences are even.)""",
        starter="def box(width, height, side):\n    return ...",
        answer="box",
        check=_box,
        solution=BOX,
        wrong={
            "down before across": (
                "return left, top, left + side, top + side",
                "return top, left, top + side, left + side",
                "changed places",
            ),
            "sides for edges": ("left + side, top + side", "side, side", "how wide"),
            "the corner": ("(width - side) // 2, (height - side) // 2", "0, 0", "corner"),
            "one pixel less": (
                "left + side, top + side",
                "left + side - 1, top + side - 1",
                "one pixel too small",
            ),
        },
        hints=("How many pixels are left over across? Half of them lie to the left.",),
    ),
    Exercise(
        number="09.2",
        grade="core",
        title="A face for the teacher",
        text="""Write what this kit makes of a picture of CelebA: `pixels` is a NumPy array of bytes
`[218, 178, 3]`. Of its central 140 x 140 pixels make 64 x 64 with an antialiased triangle filter (Pillow
calls it `BILINEAR`; or torch's `interpolate`), rounded to bytes as in a file, and return a tensor
`[3, 64, 64]` of numbers in $[-1, 1]$. Cut first: a filter that sees beyond the box makes other pixels at its
edge.""",
        starter="def face(pixels):\n    return ...",
        answer="face",
        check=_face,
        solution=FACE,
        wrong={
            "no crop": (".crop((19, 39, 159, 179))", "", "crop is missing"),
            "the box's axes": ("(19, 39, 159, 179)", "(39, 19, 179, 159)", "too high"),
            "another range": (" / 127.5 - 1", " / 255", "another range"),
            "channels last": (".permute(2, 0, 1)", "", "shape"),
            "axes turned": ("(2, 0, 1)", "(2, 1, 0)", "Rows and columns"),
            "no antialiasing": (FACE, TORCH_FACE.replace(", antialias=True", ""), "stripes"),
        },
        hints=(
            "The box is that of the exercise before.",
            "An image made an array has rows, columns and channels, in this order.",
        ),
    ),
    Exercise(
        number="09.3",
        grade="core",
        title="How large a file of pairs is",
        text="""A file of pairs holds for each pair the noise and the teacher's image in float32, and
beside them the teacher's path in float16: its state at the beginning and after each of `steps` steps.
How many **GiB** (of $2^{30}$ bytes) do `n` pairs of images of a `shape` `(C, H, W)` take? Try it for
this notebook: 20,000 pairs of 18 steps. The paper's 66.6 million pairs would take tens of terabytes:
they are solved online.""",
        starter="def gib(n, steps, shape):\n    return ...",
        answer="gib",
        check=_disk,
        solution=DISK,
        wrong={
            "a state too few": ("(steps + 1)", "steps", "One state is missing"),
            "float32 for all": ("2 * (steps + 1)", "4 * (steps + 1)", "two bytes"),
            "GB for GiB": ("2**30", "1e9", "1000^3"),
            "the path alone": ("4 + 4 + ", "", "path alone"),
        },
        hints=("How many bytes has a float16, how many a float32?", "Three steps have four states."),
    ),
    Exercise(
        number="09.4",
        grade="core",
        title="Images that only one ruler minds",
        text="""The two rulers disagreed about the students of one call. Drive it to the end: the teacher
made the images `reference` `[N, C, H, W]`, image $i$ from noise $i$. Return a set of the same shape that
**no Fréchet distance** can tell from the reference, whatever its features are, and that the **paired
error** finds as bad as images of other noises. Then say what that means for a student which is measured
by FID alone.""",
        starter="def fooled(reference):\n    return ...",
        answer="fooled",
        check=_fooled,
        solution="def fooled(reference):\n    return reference.roll(1, dims=0)",
        wrong={
            "the reference": ("reference.clone()", "the paired error is 0"),
            "mirrored": ("reference.flip(3)", "ruler sees"),
            "two changed": ("reference[[1, 0, *range(2, len(reference))]]", "most images"),
        },
        hints=(
            "A mean and a covariance do not know in which order the images came.",
            "The paired error does: it compares image i with image i.",
        ),
    ),
]
