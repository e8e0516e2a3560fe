"""Exercises of lesson 13."""

from .exercise import Exercise

EXERCISES: list[Exercise] = []
