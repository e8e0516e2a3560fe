"""Exercises of lesson 07."""

from .exercise import Exercise

EXERCISES: list[Exercise] = []
