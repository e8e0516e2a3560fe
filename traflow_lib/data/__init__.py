"""Data sets by name: 2-D toys that are sampled without end, and finite sets of images."""
