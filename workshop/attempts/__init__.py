"""What came of each answer, as events: in the learner's own log, and sent to the room, if any."""
