"""Fixtures for every test of the repository."""

pytest_plugins = ["nexus_shared.testing.plugin"]
