"""Pure decisions of ingest: what may come in, what it becomes, how frames are cut."""
