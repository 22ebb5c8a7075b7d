"""Exercises, and how an answer to one is checked and kept."""
