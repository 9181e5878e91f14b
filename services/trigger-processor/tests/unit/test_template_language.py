"""The language is small, says what is wrong, and cannot be made to work hard."""

import time
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexus_trigger_processor.domain.fields import OPEN, fields_for
from nexus_trigger_processor.domain.templates import (
    MissingField,
    RenderFailed,
    Template,
    check_template,
)

APPOINTMENTS = fields_for("appointment.scheduled")
EVENT: dict[str, Any] = {
    "id": "e-1",
    "type": "appointment.scheduled",
    "data": {
        "service_name": "Limpeza",
        "price_cents": 15000,
        "first_visit": False,
        "tags": ["a"],
        "utm": {"a": 1},
    },
    "tenant": {"name": "Clínica Sol", "tz": "America/Sao_Paulo"},
}


def flaws(source: str) -> list[str]:
    return [flaw.message for flaw in check_template(source, APPOINTMENTS)]


def test_a_text_is_filled_in() -> None:
    source = "{{ tenant.name }}: {{ data.service_name | upcase }} por {{ data.price_cents | money_br }}."
    assert check_template(source, APPOINTMENTS) == []
    assert Template(source).render(EVENT) == "Clínica Sol: LIMPEZA por R$ 150,00."


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{% if data.first_visit %}a{% else %}b{% endif %}", "b"),
        ("{% unless data.first_visit %}a{% endunless %}", "a"),
        ("{% if data.nothing %}a{% else %}b{% endif %}", "b"),
        ("{% if data.nothing == 'x' or data.price_cents > 100 %}a{% endif %}", "a"),
        ("{% if data.nothing > 3 %}a{% else %}b{% endif %}", "b"),
        ("{% if data.nothing == nil %}a{% endif %}", "a"),
        ("{% case data.service_name %}{% when 'Limpeza' %}a{% else %}b{% endcase %}", "a"),
        ("{% case data.nothing %}{% when 'Limpeza' %}a{% else %}b{% endcase %}", "b"),
        ("{% if data.tags contains 'a' %}a{% endif %}", "a"),
        ("a{% comment %} {{ data.x }} {% endcomment %}b", "ab"),
        ("a{% # note %}b", "ab"),
        ("{{ data.price_cents }} ", "15000 "),
        ("{{ data.first_visit }}!", "false!"),
        ("{% raw %}{{ data.x }}{% endraw %}", "{{ data.x }}"),
    ],
)
def test_conditions_and_values(source: str, expected: str) -> None:
    assert Template(source).render(EVENT) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ data.price_cents }}", 15000),
        ("{{data.first_visit}}", False),
        ("{{ data.tags }}", ["a"]),
        ("{{ data.utm }}", {"a": 1}),
        ("{{ data.nothing | default: 7 }}", 7),
        ("{{ data.price_cents | default: 7 }}", 15000),
    ],
)
def test_a_lone_path_gives_the_value_as_it_is(source: str, expected: object) -> None:
    value = Template(source).render(EVENT)
    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(
    "source",
    [
        "{{ data.nothing }}",
        "Oi {{ data.nothing }}",
        "{{ data.nothing | upcase }}",
        "{{ 'a' | append: data.nothing }}",
    ],
)
def test_a_missing_value_fails_with_the_field_named(source: str) -> None:
    with pytest.raises(MissingField, match=r"has no 'data\.nothing'.*default") as raised:
        Template(source).render(EVENT)
    assert raised.value.field == "data.nothing"


def test_a_null_value_is_a_missing_one() -> None:
    with pytest.raises(MissingField):
        Template("Oi {{ data.name }}").render({"data": {"name": None}})


@pytest.mark.parametrize(
    ("source", "expected"),
    [("Oi {{ data.nothing }}!", "Oi !"), ("{{ data.nothing }}", None), ("{{ data.nothing | upcase }}", ""),
     ("{{ data.nothing | default: 'x' }}!", "x!")],
)  # fmt: skip
def test_missing_values_may_be_empty(source: str, expected: object) -> None:
    assert Template(source).render(EVENT, "empty") == expected


@pytest.mark.parametrize("source", ["a {{ data.tags }}", "a {{ data.utm }}"])
def test_a_list_or_object_cannot_stand_in_a_text(source: str) -> None:
    with pytest.raises(RenderFailed, match="cannot be written into a text"):
        Template(source).render(EVENT)


@pytest.mark.parametrize(
    "path",
    [
        "data.service_name.size",
        "data.tags.first",
        "data.tags.last",
        "now",
        "today",
        "data.utm.items",
        "data.keys",
    ],
)
def test_a_path_finds_data_and_no_attribute_or_magic(path: str) -> None:
    with pytest.raises(MissingField):
        Template(f"x{{{{ {path} }}}}").render(EVENT)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("{{ data['service_name'] }}", "Write a path as plain names"),
        ("{{ data[data.x] }}", "Write a path as plain names"),
        ("{{ ['data'].service_name }}", "Write a path as plain names"),
        ("{{ data.tags[0] }}", "Write a path as plain names"),
        ("{{ data . service_name }}", "Write a path as plain names"),
        ("{% for a in data.tags %}{% endfor %}", "unexpected tag 'for'; there are if, unless, case"),
        ("{% assign a = 1 %}", "unexpected tag 'assign'"),
        ("{% capture a %}x{% endcapture %}", "unexpected tag 'capture'"),
        ("{% include 'x' %}", "unexpected tag 'include'"),
        ("{% render 'x' %}", "unexpected tag 'render'"),
        ("{% liquid echo 'x' %}", "unexpected tag 'liquid'"),
        ("{% increment x %}", "unexpected tag 'increment'"),
        ("{{ (1..1000000) }}", "There are no ranges"),
        ("{{ (1..data.price_cents) | join: '' }}", "There are no ranges"),
        ("{% if data.first_visit %}", "expected tag endif"),
        ("{{ data.service_name", "expected '}}' (line 1, column 1)"),
        ("{{ data.service_name | }}", "expected"),
        ("{{ }}", "expected a primitive expression"),
        ("{{ 'a' if data.first_visit }}", "disallowed ternary expression"),
        ("x" * 4_097, "At most 4096 characters"),
        ("{{ type }}" * 51, "At most 50 values"),
        ("{{ type" + " | upcase" * 26 + " }}" + "{{ type" + " | strip" * 26 + " }}", "At most 50 filters"),
        ("{% if type %}" * 9 + "{% endif %}" * 9, "block nesting limit"),
        ("{{ type" + " " * 40 + "}}", "no wide gaps"),
        ("{{ type | append: '" + "x" * 500 + "' }}", "At most 500 characters"),
    ],
)  # fmt: skip
def test_what_the_language_does_not_have_is_refused(source: str, words: str) -> None:
    (message,) = flaws(source)
    assert words in message


def test_a_flaw_says_line_and_column() -> None:
    assert flaws("Olá,\n  {{ data.servic_name }}") == [
        "There is no field 'data.servic_name'; did you mean 'data.service_name'? (line 2, column 6)"
    ]


def test_a_field_without_its_place_is_suggested() -> None:
    assert flaws("{{ service_name }}")[0].startswith(
        "There is no field 'service_name'; did you mean 'data.service_name'?"
    )


def test_all_flaws_are_named_in_order() -> None:
    messages = flaws("{{ data.a }}{{ data.starts_at | datebr }}{{ data.starts_at | date_br: 'lang' }}")
    assert [message.partition("'")[2].partition("'")[0] for message in messages] == [
        "data.a",
        "datebr",
        "date_br",
    ]
    assert "did you mean 'date_br'?" in messages[1]
    assert "did you mean 'long'?" in messages[2]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (
            "{{ data.service_name | money_br }}",
            "'money_br' takes a money or number, and 'data.service_name' is of type text",
        ),
        ("{{ data.price_cents | date_br }}", "'date_br' takes a date or datetime"),
        ("{{ data.starts_at | first_name }}", "'first_name' takes a text"),
        ("{{ data.service_name | date_br: 'long', 2 }}", "too many positional arguments"),
        ("{{ data.service_name | upcase: 1 }}", "too many positional arguments"),
        ("{{ data.service_name | append }}", "missing a required argument"),
        ("{{ data.service_name | truncate: foo: 1 }}", "unexpected keyword argument"),
    ],
)
def test_a_filter_is_checked_against_its_field_and_arguments(source: str, words: str) -> None:
    assert any(words in message for message in flaws(source))


def test_fields_of_unknown_types_are_accepted() -> None:
    assert check_template("{{ data.what.ever | date_br }} {{ id }} {{ run.id }}", OPEN) == []
    assert len(check_template("{{ whatever }}", OPEN)) == 1


@pytest.mark.parametrize(
    "source",
    ["{{" * 2048, "{%" * 2048, "{{ a }}" * 585, "{{ a | " * 580, "{% if a %}" * 400, "{{ '" * 1000, "{{ ['" * 800,
     "(" * 4096, "{{" + "(" * 490 + "}}", "{{ " + "(1.." * 120 + "}}", "{% if " + "1 and " * 80 + "1 %}x{% endif %}",
     "{% comment %}" * 300, "{% raw %}" * 400, "{% doc %}" * 400, "{{" + " " * 4000, "{{ a" + " " * 4000 + "}}",
     "-" * 4096, "{{-" * 1300, "{%- " * 1000, "{% case a %}" + "{% when 'x' %}y" * 200 + "{% endcase %}",
     "{{ a" + " | upcase" * 50 + " }}", ("{{ " + "'" * 480 + " }}") * 8],
)  # fmt: skip
def test_reading_a_hostile_template_takes_no_longer_than_an_honest_one(source: str) -> None:
    started = time.process_time()
    check_template(source, OPEN)
    assert time.process_time() - started < 0.3


@pytest.mark.parametrize(
    "source",
    ["{{ data.a" + " | squish" * 50 + " }}", "{{ data.a" + " | upcase" * 50 + " }}", "{{ data.a | url_encode }}",
     "{{ data.a" + " | append: data.a" * 20 + " }}", "{{ data.a }}" * 50,
     "{{ data.n" + " | times: data.n" * 20 + " }}x",
     "{{ data.l | join: data.a }}", "{% if data.a contains data.a %}{{ data.a | truncate: 9999 }}{% endif %}"],
)  # fmt: skip
def test_filling_in_a_hostile_template_is_cut_short(source: str) -> None:
    values = {"data": {"a": "é " * 8_000, "n": 10**300, "l": ["x" * 100] * 1_000}}
    started = time.process_time()
    with suppress(RenderFailed):  # refused for its size, which is as good
        assert len(Template(source).render(values)) <= 65_536
    assert time.process_time() - started < 0.2


PIECES = st.sampled_from(
    [
        "{{",
        "}}",
        "{%",
        "%}",
        " ",
        "data.a",
        "data['a']",
        "| upcase",
        "| date_br",
        "if",
        "endif",
        "'",
        "\n",
        "é",
        "..",
        "(",
        "[0]",
    ]
)


@settings(max_examples=400, deadline=None)
@given(st.lists(PIECES, max_size=24).map("".join))
def test_any_text_is_either_read_and_filled_in_or_refused_in_words(source: str) -> None:
    messages = [flaw.message for flaw in check_template(source, OPEN)]
    assert all(messages)
    if not messages:
        try:
            Template(source).render({"data": {"a": "x"}}, "empty")
        except RenderFailed as failed:
            assert str(failed)
