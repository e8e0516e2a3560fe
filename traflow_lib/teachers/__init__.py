"""Teachers: trained velocity fields, from this kit's checkpoints, from releases, or from diffusers."""

from .checkpoints import import_teacher, load_network, load_teacher, read_header, save_network
from .velocity import VelocityField

__all__ = ["VelocityField", "import_teacher", "load_network", "load_teacher", "read_header", "save_network"]
