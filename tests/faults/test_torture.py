"""Everything at once for a while; `make torture` does it for a minute."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.faults.torture import Options, torture

from nexus_shared.testing.databases import FreshDatabases
from nexus_shared.testing.provision import Servers

pytestmark = pytest.mark.faults


async def test_random_kills_and_losses_break_no_promise(
    breakable: Servers, breakable_databases: FreshDatabases, tmp_path: Path
) -> None:
    report = await torture(breakable, breakable_databases, tmp_path, Options(seconds=20, seed=11, hurry=True))

    # Whether a purge fell into these few seconds is chance; `make torture` insists on every kind of fault.
    assert not report.violations, str(report)


async def test_torture_is_red_when_holes_are_not_noticed(
    breakable: Servers, breakable_databases: FreshDatabases, tmp_path: Path
) -> None:
    report = await torture(
        breakable, breakable_databases, tmp_path, Options(seconds=12, seed=12, mutant="no-holes", hurry=True)
    )

    assert "every match has its run" in {violation.promise for violation in report.violations}, str(report)
