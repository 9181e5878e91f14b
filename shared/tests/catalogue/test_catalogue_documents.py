"""The generated page and JSON Schemas."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import orjson
import pytest
from jsonschema import Draft202012Validator
from jsonschema.protocols import Validator

from nexus_shared.catalogue import FAMILIES, EventType, all_types
from nexus_shared.catalogue.generate import drift, generated, main, write
from nexus_shared.catalogue.schemas import schema_of

DOCS = Path(__file__).parents[3] / "docs/events"


@functools.cache
def validator(event_type: EventType) -> Validator:
    return Draft202012Validator(schema_of(event_type))


def sample(event_type: EventType) -> dict[str, Any]:
    event: dict[str, Any] = orjson.loads((DOCS / "samples" / f"{event_type.name}.v1.json").read_bytes())
    return event


def test_what_is_generated_is_committed() -> None:
    assert drift(DOCS) == [], "run `python -m nexus_shared.catalogue.generate` and commit what it writes"


def test_drift_is_noticed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path)
    assert main(["--check", "--docs", str(tmp_path)]) == 0
    (tmp_path / "README.md").write_text("changed by hand")
    (tmp_path / "schemas/lead.created.json").unlink()
    (tmp_path / "schemas/lead.dreamt.json").write_text("{}")
    assert main(["--check", "--docs", str(tmp_path)]) == 1
    listed = capsys.readouterr().err
    assert "README.md is out of date" in listed
    assert "lead.created.json is missing" in listed
    assert "lead.dreamt.json has no type any more" in listed
    assert main(["--docs", str(tmp_path)]) == 0
    assert drift(tmp_path) == []
    assert not (tmp_path / "schemas/lead.dreamt.json").exists()


def test_the_schema_accepts_the_sample() -> None:
    for each in all_types().values():
        assert list(validator(each).iter_errors(sample(each))) == [], each.name


def test_what_is_called_a_schema_is_one() -> None:
    for family in FAMILIES:
        Draft202012Validator.check_schema(schema_of(family.types[0]))


def test_the_schema_says_every_fields_data_class() -> None:
    for each in all_types().values():
        for definition in schema_of(each)["$defs"].values():
            assert all("x-data-class" in field for field in definition["properties"].values()), each.name


def test_the_schema_refuses_nothing_that_the_catalogue_accepts() -> None:
    values: list[Any] = [None, "text", 7, True, [], {}]
    for each in all_types().values():
        event = sample(each)
        for name in event["data"]:
            for value in values:
                data = event["data"] | {name: value}
                if not each.problems(data):
                    assert validator(each).is_valid(event | {"data": data}), f"{each.name} {name} = {value!r}"


@pytest.mark.parametrize(
    "change",
    [
        {"type": "lead.lost"},
        {"subject": "patient/P-1"},
        {"data": {}},
        {"data": {"lead_id": 17}},
        {"data": {"lead_id": "L-17", "phone": "11987654321"}},
        {"data": {"lead_id": "L-17", "consent": {"whatsapp": "yes"}}},
        {"schemaversion": 2},
    ],
)
def test_the_schema_refuses_what_the_catalogue_refuses(change: dict[str, Any]) -> None:
    lead_created = all_types()["lead.created"]
    assert not validator(lead_created).is_valid(sample(lead_created) | change)


def test_the_page_names_every_type_and_field() -> None:
    text = generated()[Path("README.md")].decode()
    for name, event_type in all_types().items():
        assert f"### {name}\n" in text
        assert event_type.meaning_pt in text
    assert "| `consent.proof` | text |  | personal |" in text
