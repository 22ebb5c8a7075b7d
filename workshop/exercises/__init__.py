"""The exercises, a module a notebook, in the order of the course."""

from . import ex00_welcome, ex01_tables, ex02_appending
from .exercise import Exercise

NOTEBOOKS = {
    "00_welcome": ex00_welcome.EXERCISES,
    "01_tables": ex01_tables.EXERCISES,
    "02_appending": ex02_appending.EXERCISES,
}
EXERCISES: dict[str, Exercise] = {exercise.id: exercise for group in NOTEBOOKS.values() for exercise in group}
