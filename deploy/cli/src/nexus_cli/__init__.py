"""The `nexus` command: starts everything on one machine and operates it."""
