"""Exercises of lesson 10."""

from .exercise import Exercise

EXERCISES: list[Exercise] = []
