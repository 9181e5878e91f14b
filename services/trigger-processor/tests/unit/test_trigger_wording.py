"""Events and fields have names that a clinic understands."""

import re

import pytest

from nexus_shared import catalogue
from nexus_trigger_processor.domain.wording import happening, label, spoken

PAST = re.compile(r"\b\w+(ou|eu|iu)\b")
ENDING_LIKE_THE_PAST = {"ou", "seu", "meu", "deu"}


@pytest.mark.parametrize("event_type", list(catalogue.all_types()))
def test_every_event_of_the_catalogue_happens_in_the_present(event_type: str) -> None:
    phrase = happening(event_type, "pt")
    found = {match.group() for match in PAST.finditer(phrase)} - ENDING_LIKE_THE_PAST
    assert found <= ({"chegou"} if event_type == "appointment.reminder_window_reached" else set()), phrase
    assert phrase[0].islower()
    assert not phrase.endswith(".")


def test_an_event_nobody_knows_is_called_by_its_name() -> None:
    assert happening("our.own.type", "pt") == 'chega um evento "our.own.type"'
    assert happening("our.own.type", "en") == "our.own.type happens"


@pytest.mark.parametrize(
    ("path", "pt", "en"),
    [
        ("data.source", "origem", "source"),
        ("data.utm.source", "utm › origem", "utm › source"),
        ("data.made_up_name", "made up name", "made up name"),
        ("source", "sistema de origem", "event source"),
        ("time", "data do evento", "event time"),
    ],
)
def test_a_field_has_a_label(path: str, pt: str, en: str) -> None:
    assert (label(path, "pt"), label(path, "en")) == (pt, en)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, "sim"),
        (2.5, "2,5"),
        ("a", '"a"'),
        ("x" * 100, '"' + "x" * 80 + '…"'),
        (["a"], '"a"'),
        (["a", "b", "c"], '"a", "b" ou "c"'),
        (list("abcdefg"), '"a", "b", "c", "d" ou …'),
        ([], ""),
        (None, "nada"),
        ({"a": 1}, "um objeto"),
    ],
)
def test_a_value_is_said_as_people_say_it(value: object, expected: str) -> None:
    assert spoken(value, "pt") == expected
