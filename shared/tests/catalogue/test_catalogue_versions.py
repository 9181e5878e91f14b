"""Old data stays readable: upcasters turn it into the newest version, step by step."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from nexus_shared.catalogue import EventData, EventType, Family, SchemaVersionUnknown, all_types
from nexus_shared.catalogue.base import open_field
from nexus_shared.catalogue.values import Id

family = Family("chair", "Cadeiras", subject="chair/{chair_id}")


def rename_number(data: dict[str, Any]) -> dict[str, Any]:
    """1 → 2: `number` is called `chair_id`."""
    return {("chair_id" if name == "number" else name): value for name, value in data.items()}


def number_to_text(data: dict[str, Any]) -> dict[str, Any]:
    """2 → 3: the id is text, with a prefix."""
    return data | {"chair_id": f"chair-{data['chair_id']}"}


@family.event(
    "chair.broke",
    meaning="A chair broke",
    meaning_pt="Uma cadeira quebrou.",
)
class ChairBroke(EventData):
    upcasters = (rename_number, number_to_text)

    chair_id: Id = open_field("The chair", required=True)


@pytest.fixture
def chair_broke() -> EventType:
    return family.types[0]


@pytest.mark.parametrize(
    ("version", "data"),
    [(1, {"number": 7, "room": 2}), (2, {"chair_id": 7, "room": 2}), (3, {"chair_id": "chair-7", "room": 2})],
)
def test_data_of_any_version_becomes_the_newest(
    chair_broke: EventType, version: int, data: dict[str, Any]
) -> None:
    before = copy.deepcopy(data)
    newest = chair_broke.upcast(version, data)
    assert newest == {"chair_id": "chair-7", "room": 2}
    assert chair_broke.problems(newest) == []
    assert data == before


def test_the_number_of_upcasters_makes_the_version(chair_broke: EventType) -> None:
    assert chair_broke.version == 3
    assert all(each.version == 1 for each in all_types().values() if not each.data.upcasters)


@pytest.mark.parametrize("version", [0, 4, 99])
def test_a_version_nobody_knows_is_named_with_what_to_do(chair_broke: EventType, version: int) -> None:
    with pytest.raises(
        SchemaVersionUnknown, match=r"the newest is 3\. Update this service, or publish version 3"
    ):
        chair_broke.upcast(version, {})
