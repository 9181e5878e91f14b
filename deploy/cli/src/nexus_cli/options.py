"""Options that several verbs share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Directory = Annotated[
    Path | None,
    typer.Option(
        "--dir",
        envvar="NEXUS_DIR",
        help="Where data, logs and secrets are kept.  [default: .nexus in the checkout]",
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a script.")]
ApiUrl = Annotated[
    str | None,
    typer.Option("--url", envvar="NEXUS_URL", help="Address of ingest, when it was not started by nexus up."),
]
ApiKey = Annotated[
    str | None,
    typer.Option(
        "--key", envvar="NEXUS_API_KEY", help="API key.  [default: the demo clinic's]", show_default=False
    ),
]
