"""Teachers: trained velocity fields, from this kit's checkpoints, from releases, or anyone's network."""

from .adapter import as_velocity as as_velocity
from .checkpoints import import_teacher as import_teacher
from .checkpoints import load_network as load_network
from .checkpoints import load_teacher as load_teacher
from .checkpoints import read_header as read_header
from .checkpoints import save_network as save_network
from .velocity import VelocityField as VelocityField
