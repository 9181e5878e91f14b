"""Use cases of ingest, one transaction each."""
