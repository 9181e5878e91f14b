"""One whole system for all end-to-end tests of the command."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from nexus_cli.testing import System, system_for_tests


@pytest.fixture(scope="session")
def system() -> Iterator[System]:
    with system_for_tests() as made:
        yield made


@pytest.fixture
def running(system: System) -> System:
    """Started, unless the test before left it running."""
    system.start()
    return system
