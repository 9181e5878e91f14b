"""Values as people in Brazil read them."""

from typing import Any

import pytest

from nexus_trigger_processor.domain.templates import RenderFailed, Template

MOMENT = "2026-11-24T02:30:00+00:00"


def filled(expression: str, value: Any, zone: str = "America/Sao_Paulo") -> Any:
    text = Template(f"<{{{{ data.x | {expression} }}}}>").render(
        {"data": {"x": value}, "tenant": {"tz": zone}}
    )
    return text[1:-1]


@pytest.mark.parametrize(
    ("expression", "value", "expected"),
    [
        ("date_br", MOMENT, "23/11/2026"),
        ("date_br", "2026-11-24", "24/11/2026"),
        ('date_br: "short"', MOMENT, "23/11"),
        ('date_br: "long"', MOMENT, "23 de novembro de 2026"),
        ('date_br: "weekday"', MOMENT, "segunda-feira, 23 de novembro"),
        ('date_br: "weekday"', "2026-03-07", "sábado, 7 de março"),
        ("weekday_br", "2026-11-24", "terça-feira"),
        ("time_br", MOMENT, "23:30"),
        ('time_br: "h"', MOMENT, "23h30"),
        ('time_br: "h"', "2026-11-24T11:00:00Z", "8h"),
        ("money_br", 123456, "R$ 1.234,56"),
        ("money_br", 5, "R$ 0,05"),
        ("money_br", 0, "R$ 0,00"),
        ("money_br", -100000000, "-R$ 1.000.000,00"),
        ("money_br", "12990", "R$ 129,90"),
        ("first_name", "Maria da Silva", "Maria"),
        ("first_name", "  JOÃO SOUZA", "João"),
        ("first_name", "ana", "Ana"),
        ("first_name", "McArthur Lima", "McArthur"),
        ("first_name", "Dra. Paula Reis", "Paula"),
        ("first_name", "Dr.", "Dr."),
        ("first_name", "", ""),
        ("phone_br", "+5511987654321", "(11) 98765-4321"),
        ("phone_br", "+551132654321", "(11) 3265-4321"),
        ("phone_br", "+351912345678", "+351912345678"),
        ("yes_no_br", True, "sim"),
        ("yes_no_br", False, "não"),
        ("url_encode", "ação & reação", "a%C3%A7%C3%A3o+%26+rea%C3%A7%C3%A3o"),
        ('join: ", "', ["a", "b"], "a, b"),
        ('default: "amigo"', None, "amigo"),
        ("plus: 2 | times: 3", 1, "9"),
        ("truncate: 5", "abcdefgh", "ab..."),
    ],
)
def test_a_filter_writes_what_people_expect(expression: str, value: Any, expected: str) -> None:
    assert filled(expression, value) == expected


def test_the_clock_is_the_tenants() -> None:
    assert filled("time_br", MOMENT, "America/Manaus") == "22:30"
    assert filled("date_br", MOMENT, "Europe/Lisbon") == "24/11/2026"


def test_without_a_tenants_zone_the_clock_is_that_of_sao_paulo() -> None:
    assert Template("às {{ data.x | time_br }}").render({"data": {"x": MOMENT}}) == "às 23:30"


@pytest.mark.parametrize("zone", ["Marte/Olympus", "../../etc/passwd", 7])
def test_a_zone_that_is_none_is_said(zone: Any) -> None:
    with pytest.raises(RenderFailed, match=r"tenant\.tz"):
        filled("time_br", MOMENT, zone)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("date_br", "amanhã"),
        ("date_br", "2026-02-30"),
        ("date_br", "2026-11-24T10:00:00"),
        ("date_br", 1_700_000_000),
        ("time_br", "2026-11-25"),
        ("money_br", 12.5),
        ("money_br", True),
        ("money_br", "12,50"),
        ("money_br", "٣٤"),
        ("first_name", 7),
        ("phone_br", ["x"]),
        ("yes_no_br", "sim"),
        ("plus: 1", "12"),
        ("plus: 'a'", 12),
        ("times: 2", True),
        ("divided_by: 0", 12),
        ("url_encode", "x" * 2_001),
        ("upcase", "x" * 16_385),
    ],
)
def test_a_filter_refuses_what_it_cannot_write_and_does_not_repeat_it(expression: str, value: Any) -> None:
    with pytest.raises(RenderFailed) as raised:
        filled(expression, value)
    assert not isinstance(value, str) or value not in str(raised.value)
