"""python -m traflow_lib COMMAND."""

import sys

from .cli import main

for stream in (sys.stdout, sys.stderr):
    stream.reconfigure(errors="replace")  # a terminal that lacks a character shows a question mark for it
sys.exit(main())
