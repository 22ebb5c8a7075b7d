"""The exercises of notebook 04."""

from .exercise import Exercise

EXERCISES: tuple[Exercise, ...] = ()
