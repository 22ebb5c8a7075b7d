"""Opening the kit: the learner's folder, new editions of what lies in it, and the command that opens it."""
