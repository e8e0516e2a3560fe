"""Exercises of lesson 08."""

from .exercise import Exercise

EXERCISES: list[Exercise] = []
