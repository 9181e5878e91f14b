import string
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexus_shared.ids import derive, is_tenant_id


def test_the_same_parts_give_the_same_id_for_ever() -> None:
    assert derive("run", "clinica-sul", 7) == UUID("eff8a0c3-6b7b-5ee8-a0e8-7c3b99f225d4")
    assert derive("run", "clinica-sul", "7") == derive("run", "clinica-sul", 7)
    assert derive(UUID(int=5)) == derive(str(UUID(int=5)))


def test_other_parts_or_another_order_give_another_id() -> None:
    ids = {derive("a", "b"), derive("b", "a"), derive("ab"), derive("a"), derive("a", "b", "")}
    assert len(ids) == 5


PARTS = st.lists(st.text(alphabet="ab|\\", max_size=3), min_size=1, max_size=3)


@settings(max_examples=200, deadline=None)
@given(PARTS, PARTS)
def test_no_choice_of_ids_makes_two_things_one(one: list[str], other: list[str]) -> None:
    assert (derive(*one) == derive(*other)) == (one == other)


@pytest.mark.parametrize(
    "text", ["a", "7", "clinica-sul", "0b1c7f9e-5b1f-4b58-9d5e-0d7e3a1f2c3d", "a" * 63, "a-"]
)
def test_slugs_and_uuids_are_tenants(text: str) -> None:
    assert is_tenant_id(text)


@pytest.mark.parametrize(
    "text", ["", "-a", "A", "a_b", "a.b", "a b", "a" * 64, "ação", "a\n", "a\x00", "#", "*"]
)
def test_nothing_else_is_a_tenant(text: str) -> None:
    assert not is_tenant_id(text)


@given(st.text(alphabet=string.printable, max_size=5))
def test_a_tenant_never_holds_what_a_routing_key_or_a_pattern_could_misread(text: str) -> None:
    if is_tenant_id(text):
        assert set(text) <= set(string.ascii_lowercase + string.digits + "-")
