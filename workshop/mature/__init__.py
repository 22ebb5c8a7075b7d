"""Mature event stores, beside the learner's own."""
