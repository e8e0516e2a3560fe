"""Measuring generators: distances between distributions, paired error, geometry of paths, and cost."""
