"""Samples are promises: whatever was released stays readable for ever."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from nexus_shared.catalogue import all_types, join, person_of
from nexus_shared.envelope import Event

SAMPLES = Path(__file__).parents[3] / "docs/events/samples"
FILES = sorted(SAMPLES.glob("*.json"))
EVERY_SAMPLE = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)


def sample(file: Path) -> Event:
    return Event.model_validate(orjson.loads(file.read_bytes()))


@EVERY_SAMPLE
def test_a_released_sample_is_readable_today(file: Path) -> None:
    event = sample(file)
    event_type = all_types()[event.type]
    assert file.name == f"{event.type}.v{event.schemaversion}.json"
    data = event_type.upcast(event.schemaversion, event.data)
    assert event_type.problems(data, event.subject) == []


def test_a_sample_comes_from_who_may_publish_it() -> None:
    for event in map(sample, FILES):
        owners = all_types()[event.type].owners
        assert not owners or event.source in owners, event.type


def test_a_sample_survives_the_cut() -> None:
    for event in map(sample, FILES):
        readable, sealed = all_types()[event.type].split(event.data)
        assert join(readable, sealed) == event.data, event.type
        log = orjson.dumps(readable).decode()
        assert not [text for text in texts(sealed) if text in log], event.type


def test_a_sample_has_no_field_that_its_type_does_not_know() -> None:
    for event in map(sample, FILES):
        assert {f"data.{name}" for name in event.data} <= set(all_types()[event.type].all_fields), event.type


def test_every_version_of_every_type_has_its_sample() -> None:
    released = {
        f"{each.name}.v{version}" for each in all_types().values() for version in range(1, each.version + 1)
    }
    assert {file.stem for file in FILES} == released


@pytest.mark.parametrize("name", ["lead.created", "appointment.scheduled"])
def test_the_samples_that_measure_speed_are_full(name: str) -> None:
    event = orjson.loads((SAMPLES / f"{name}.v1.json").read_bytes())
    assert len(orjson.dumps(event)) >= 600
    given = set(event["data"]) | {"patient_id"}
    assert given >= set(all_types()[name].data.model_fields) - {"lead_id"}


def test_the_story_of_a_lead_belongs_to_one_person() -> None:
    event = sample(SAMPLES / "lead.created.v1.json")
    assert person_of(event.data, event.subject) == "lead/L-2048" == event.subject


def texts(value: Any) -> list[str]:
    """All texts of some length inside a value."""
    if isinstance(value, dict):
        return [text for each in value.values() for text in texts(each)]
    if isinstance(value, list):
        return [text for each in value for text in texts(each)]
    return [value] if isinstance(value, str) and len(value) > 8 else []
