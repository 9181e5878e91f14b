"""All SQL of trigger-processor, by what it is about."""
