"""Writes everything that is generated from the code: `python -m nexus_cli.contracts [--check]`.

OpenAPI of each service, AsyncAPI, the catalogue page with its JSON Schemas, and the client's emitters. With `--check`
nothing is written; the exit code says whether what is committed agrees with the code.
"""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from nexus_shared.access.tokens import public_key_of
from nexus_shared.contracts import asyncapi

DOCS = Path(__file__).parents[4] / "docs"


def documents() -> Mapping[Path, str]:
    """Path below docs/ -> text."""
    made = {Path("api") / f"{service}.openapi.json": _openapi(service) for service in _services()}
    return {**made, Path("api/asyncapi.json"): _json(asyncapi.document())}


def drift() -> list[str]:
    """Files that do not say what the code says."""
    return [
        str(path)
        for path, text in documents().items()
        if not (DOCS / path).exists() or (DOCS / path).read_text("utf-8") != text
    ]


def write() -> None:
    for path, text in documents().items():
        (DOCS / path).parent.mkdir(parents=True, exist_ok=True)
        (DOCS / path).write_text(text, "utf-8")


def _services() -> Mapping[str, Callable[[], Any]]:
    from nexus_ingest import app as ingest
    from nexus_ingest.settings import Settings as IngestSettings
    from nexus_trigger_processor import app as trigger_processor
    from nexus_trigger_processor.settings import Settings as TriggerProcessorSettings

    return {
        "ingest": lambda: ingest.build(IngestSettings(**_placeholders())).api,
        "trigger-processor": lambda: trigger_processor.build(TriggerProcessorSettings(**_placeholders())).api,
    }


def _openapi(service: str) -> str:
    return _json(_services()[service]().openapi())


def _placeholders() -> dict[str, Any]:
    """Settings good enough to build a service that is never started."""
    seed = bytes(32)
    key = base64.b64encode(seed).decode()
    return {
        "database_url": "postgresql://worker@database/nexus",
        "database_api_url": "postgresql://api@database/nexus",
        "amqp_url": "amqp://service@rabbitmq/nexus",
        "master_keys": f"doc:{key}",
        "token_public_keys": f"doc:{base64.b64encode(public_key_of(seed)).decode()}",
        "token_signing_key": key,
    }


def _json(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def main() -> None:
    if "--check" not in sys.argv[1:]:
        write()
        return
    if stale := drift():
        print(f"Not what the code says: {', '.join(stale)}. Run `make contracts`.", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
