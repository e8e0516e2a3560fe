"""Exercises of lesson 03."""

from .exercise import Exercise

EXERCISES: list[Exercise] = []
