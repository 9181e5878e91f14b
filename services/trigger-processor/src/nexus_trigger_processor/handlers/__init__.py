"""Use cases of trigger-processor, one transaction each."""
