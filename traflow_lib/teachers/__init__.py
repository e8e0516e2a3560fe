"""Teachers: trained velocity fields, from this kit's checkpoints, from releases, or anyone's network."""

from .adapter import as_velocity
from .checkpoints import VelocityField, import_teacher, load_network, load_teacher, read_header, save_network

__all__ = [
    "VelocityField",
    "as_velocity",
    "import_teacher",
    "load_network",
    "load_teacher",
    "read_header",
    "save_network",
]
