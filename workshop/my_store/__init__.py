"""The learner's own event store: its parts, and which guarantees it meets."""
