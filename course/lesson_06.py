"""Exercises of lesson 06."""

from .exercise import Exercise

EXERCISES: list[Exercise] = []
