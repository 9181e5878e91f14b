"""nexus doctor."""

from __future__ import annotations

import typer

from nexus_cli.options import AsJson, Directory
from nexus_cli.outcomes import Exit


def doctor(directory: Directory = None, as_json: AsJson = False) -> None:
    """Check this machine and this checkout; say what is missing and what to do. Exit code 3 when something is."""
    import json
    from dataclasses import asdict

    from nexus_cli.launcher import diagnosis
    from nexus_cli.launcher.installation import Installation

    findings = diagnosis.examine(Installation(directory))
    if as_json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2, ensure_ascii=False))
    else:
        diagnosis.show(findings)
    if not all(finding.is_fit for finding in findings):
        raise typer.Exit(Exit.NOT_FIT)
