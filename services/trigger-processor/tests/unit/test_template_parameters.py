"""JSON parameters: constants stay, templates become values, flaws point to the part."""

from typing import Any

import pytest

from nexus_trigger_processor.domain.fields import fields_for
from nexus_trigger_processor.domain.templates import (
    MissingField,
    RenderFailed,
    check_parameters,
    compile_parameters,
)

LEADS = fields_for("lead.created")
EVENT = {"data": {"name": "Maria da Silva", "phone": "+5511987654321", "utm": {"source": "google"}, "n": 3}}


def test_templates_become_values_and_everything_else_stays() -> None:
    tree: dict[str, Any] = {
        "text": "Oi {{ data.name | first_name }}",
        "n": "{{ data.n }}",
        "utm": "{{ data.utm }}",
        "list": ["{{ data.phone | phone_br }}", 1, None, True, 2.5, "plain {text}"],
        "nested": {"deep": [{"x": "{% if data.n > 2 %}many{% endif %}"}]},
    }
    assert compile_parameters(tree).render(EVENT) == {
        "text": "Oi Maria",
        "n": 3,
        "utm": {"source": "google"},
        "list": ["(11) 98765-4321", 1, None, True, 2.5, "plain {text}"],
        "nested": {"deep": [{"x": "many"}]},
    }


@pytest.mark.parametrize("tree", [None, 7, "plain", [], {}, {"a": [1, {"b": None}]}, "{ {"])
def test_parameters_without_templates_are_given_out_as_they_are(tree: Any) -> None:
    assert compile_parameters(tree).render({}) == tree


def test_two_renderings_share_nothing() -> None:
    parameters = compile_parameters({"a": {"b": []}})
    parameters.render({})["a"]["b"].append(1)
    assert parameters.render({}) == {"a": {"b": []}}


def test_flaws_point_to_the_part() -> None:
    tree = {"a": ["ok", {"b/c": "{{ data.nam }}"}], "d": "{{ data.name | first }} {% for %}"}
    assert [flaw.pointer for flaw in check_parameters(tree, LEADS, "/actions/0/parameters")] == [
        "/actions/0/parameters/a/1/b~1c",
        "/actions/0/parameters/d",
    ]


def test_a_name_cannot_be_a_template() -> None:
    (flaw,) = check_parameters({"a": {"{{ data.name }}": 1}}, LEADS)
    assert (flaw.pointer, flaw.message) == ("/a", "Names cannot be templates, only values can")


def test_parameters_are_bounded_in_depth_and_number() -> None:
    deep: Any = "x"
    for _ in range(200):
        deep = [deep]
    assert [flaw.code for flaw in check_parameters(deep, LEADS)] == ["too_deep"]
    assert [flaw.code for flaw in check_parameters(["x"] * 5_000, LEADS)] == ["too_many"]
    assert check_parameters([["x"] * 100] * 9, LEADS) == []


def test_a_failure_names_the_part() -> None:
    with pytest.raises(MissingField) as raised:
        compile_parameters({"a": [0, "{{ data.email }}"]}).render(EVENT)
    assert (raised.value.pointer, raised.value.field) == ("/a/1", "data.email")


def test_missing_values_may_be_empty_in_all_parts() -> None:
    parameters = compile_parameters({"a": "Oi {{ data.email }}", "b": "{{ data.email }}"})
    assert parameters.render(EVENT, "empty") == {"a": "Oi ", "b": None}


def test_what_comes_out_is_bounded_in_all() -> None:
    tree = ["{{ data.big }}"] * 10
    with pytest.raises(RenderFailed, match="more than 262144 bytes"):
        compile_parameters(tree).render({"data": {"big": ["x" * 10_000] * 5}})


def test_a_template_that_was_never_checked_fails_in_words() -> None:
    with pytest.raises(RenderFailed, match="cannot be read"):
        compile_parameters({"a": "{{ data.x"}).render(EVENT)
    with pytest.raises(RenderFailed, match="unknown filter"):
        compile_parameters({"a": "{{ data.n | nope }}"}).render(EVENT)
