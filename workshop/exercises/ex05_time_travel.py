"""The exercises of notebook 05."""

from .exercise import Exercise

EXERCISES: tuple[Exercise, ...] = ()
