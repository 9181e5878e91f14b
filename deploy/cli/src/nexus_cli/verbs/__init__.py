"""The verbs of the command; what is heavy is imported when a verb runs."""
