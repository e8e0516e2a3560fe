"""python -m traflow_lib COMMAND."""

import sys
from io import TextIOWrapper

from .cli import main

for stream in (sys.stdout, sys.stderr):
    if isinstance(stream, TextIOWrapper):
        stream.reconfigure(errors="replace")  # a terminal that lacks a character shows a question mark for it
sys.exit(main())
