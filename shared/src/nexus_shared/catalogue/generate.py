"""Writes what is generated from the catalogue, or checks that it was: `python -m nexus_shared.catalogue.generate`.

The catalogue page and the JSON Schemas are generated. Samples are not: they are promises, written once.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import orjson

from nexus_shared.catalogue import all_types
from nexus_shared.catalogue.page import page
from nexus_shared.catalogue.schemas import schema_of

DOCS = Path("docs/events")


@cache
def generated() -> Mapping[Path, bytes]:
    """All generated files, by path below the folder of event documents."""
    files = {Path("README.md"): page().encode()}
    for name, event_type in all_types().items():
        schema = orjson.dumps(schema_of(event_type), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
        files[Path("schemas", f"{name}.json")] = schema
    return files


def drift(docs: Path) -> list[str]:
    """What below `docs` is not as the catalogue says, one sentence each."""
    files = generated()
    found = [_difference(docs / path, content) for path, content in files.items()]
    return [sentence for sentence in found if sentence] + [
        f"{path} has no type any more" for path in _stale(docs, files)
    ]


def write(docs: Path) -> None:
    files = generated()
    for path in _stale(docs, files):
        path.unlink()
    for path, content in files.items():
        (docs / path).parent.mkdir(parents=True, exist_ok=True)
        (docs / path).write_bytes(content)


def main(arguments: Sequence[str] | None = None) -> int:
    """0: done, or nothing drifted. 1: something drifted; it is listed on standard error."""
    parser = argparse.ArgumentParser(prog="python -m nexus_shared.catalogue.generate", description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="write nothing; fail if a file is not up to date"
    )
    parser.add_argument("--docs", type=Path, default=DOCS, help=f"the folder to write to (default: {DOCS})")
    chosen = parser.parse_args(arguments)
    if not chosen.check:
        write(chosen.docs)
        return 0
    found = drift(chosen.docs)
    for sentence in found:
        sys.stderr.write(sentence + "\n")
    if found:
        sys.stderr.write("Run `python -m nexus_shared.catalogue.generate` and commit what it writes.\n")
    return 1 if found else 0


def _difference(path: Path, content: bytes) -> str:
    if not path.exists():
        return f"{path} is missing"
    return "" if path.read_bytes() == content else f"{path} is out of date"


def _stale(docs: Path, files: Mapping[Path, bytes]) -> list[Path]:
    return [path for path in sorted((docs / "schemas").glob("*.json")) if path.relative_to(docs) not in files]


if __name__ == "__main__":
    sys.exit(main())
