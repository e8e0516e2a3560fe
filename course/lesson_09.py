"""Exercises of lesson 09."""

from .exercise import Exercise

EXERCISES: list[Exercise] = []
