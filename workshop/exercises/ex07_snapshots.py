"""The exercises of notebook 07."""

from .exercise import Exercise

EXERCISES: tuple[Exercise, ...] = ()
