"""TraFlow-lab: trajectory distillation on pre-trained rectified flows.

Time convention, everywhere in this package: t = 0 is data, t = 1 is noise, x_t = t x_1 + (1 - t) x_0.
"""

import warnings

# accelerate imports tqdm's notebook bar, which complains wherever ipywidgets is missing; the kit does not use
# it
warnings.filterwarnings("ignore", "IProgress not found")

__version__ = "0.1.0"
