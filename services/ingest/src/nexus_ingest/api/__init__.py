"""REST routes of ingest: events, quarantine, tokens, tenants."""
