"""REST routes of trigger-processor: triggers, runs, decisions, dead letters."""
