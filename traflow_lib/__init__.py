"""TraFlow-lab: turn a slow pre-trained rectified flow into a generator of one or two network calls.

Your teacher, your pictures, a student::

    from traflow_lib import ImageFolder, as_velocity, distill, load, with_target_time

    teacher = as_velocity(my_unet, noise_at=1, predicts="velocity")
    print(teacher.check(ImageFolder("pictures", size=64)))      # is that its convention?
    student = distill(teacher, ImageFolder("pictures", size=64), method="traflow", out="mine",
                      network=with_target_time(teacher, "time_embed"))
    images = student.sample(64, calls=1, seed=0)                # [64, 3, 64, 64] in [-1, 1]
    print(student.evaluate(ImageFolder("pictures", size=64)))
    student.save("mine.safetensors")
    student = load("mine.safetensors", network=MyUNet)

Everything else by name: docs/guide.md goes through the rooms.

Time convention, everywhere: t = 0 is data, t = 1 is noise, x_t = t x_1 + (1 - t) x_0.
"""

import warnings

# accelerate imports tqdm's notebook bar, unused here, which complains wherever ipywidgets is missing
warnings.filterwarnings("ignore", "IProgress not found")

from .data.images import ImageArray, ImageFolder  # noqa: E402 - after the filter
from .nets.target_time import with_target_time  # noqa: E402
from .student import Student, distill, load  # noqa: E402
from .teachers import load_teacher  # noqa: E402
from .teachers.adapter import as_velocity  # noqa: E402

__version__ = "0.1.0"
__all__ = [
    "ImageArray",
    "ImageFolder",
    "Student",
    "as_velocity",
    "distill",
    "load",
    "load_teacher",
    "with_target_time",
]
