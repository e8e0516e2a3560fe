"""Exercises of lesson 11."""

from .exercise import Exercise

EXERCISES: list[Exercise] = []
