"""Exercises of lesson 01."""

from .exercise import Exercise

EXERCISES: list[Exercise] = []
