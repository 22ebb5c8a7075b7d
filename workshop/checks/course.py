"""The exercises, a module a notebook, in the order of the course."""

from .exercise import Exercise
from .exercises import (
    ex00_welcome,
    ex01_tables,
    ex02_appending,
    ex03_aggregation,
    ex04_business_logic,
    ex05_time_travel,
    ex06_projections,
    ex07_snapshots,
    ex08_subscriptions,
    ex09_archiving,
    ex10_mature_solutions,
)

NOTEBOOKS = {
    "00_welcome": ex00_welcome.EXERCISES,
    "01_tables": ex01_tables.EXERCISES,
    "02_appending": ex02_appending.EXERCISES,
    "03_aggregation": ex03_aggregation.EXERCISES,
    "04_business_logic": ex04_business_logic.EXERCISES,
    "05_time_travel": ex05_time_travel.EXERCISES,
    "06_projections": ex06_projections.EXERCISES,
    "07_snapshots": ex07_snapshots.EXERCISES,
    "08_subscriptions": ex08_subscriptions.EXERCISES,
    "09_archiving": ex09_archiving.EXERCISES,
    "10_mature_solutions": ex10_mature_solutions.EXERCISES,
}
EXERCISES: dict[str, Exercise] = {exercise.id: exercise for group in NOTEBOOKS.values() for exercise in group}
