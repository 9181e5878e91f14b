"""Whose fact it is."""

from __future__ import annotations

from typing import Any

import pytest

from nexus_shared.catalogue import person_of

PHONE = "+5511987654321"


@pytest.mark.parametrize(
    ("data", "subject", "person"),
    [
        ({"lead_id": "L-1", "patient_id": "P-1"}, "lead/L-1", "patient/P-1"),
        ({"lead_id": "L-1", "phone": PHONE}, None, "lead/L-1"),
        ({"contact_id": "C-1", "debtor_contact_id": "C-2"}, None, "contact/C-1"),
        ({"invoice_id": "F-1", "debtor_contact_id": "C-2"}, "invoice/F-1", "contact/C-2"),
        ({"patient_id": "P-1", "debtor_contact_id": "C-2"}, "invoice/F-1", "patient/P-1"),
        ({"from_phone": PHONE}, "conversation/V-1", f"phone/{PHONE}"),
        ({"to_phone": PHONE}, "conversation/V-1", f"phone/{PHONE}"),
        ({"phone": PHONE}, "contact/C-1", f"phone/{PHONE}"),
        ({"contact": {"phone": PHONE, "name": "Ana"}}, None, f"phone/{PHONE}"),
        ({"contact": {"name": "Ana"}}, "conversation/V-1", None),
        ({"contact": "Ana"}, None, None),
        ({}, "lead/L-1", "lead/L-1"),
        ({}, "patient/P-1", "patient/P-1"),
        ({}, "contact/C-1", "contact/C-1"),
        ({}, "appointment/A-1", None),
        ({}, None, None),
        ({"patient_id": None, "lead_id": "L-1"}, None, "lead/L-1"),
        ({"patient_id": ""}, "lead/L-1", "lead/L-1"),
        ({"patient_id": 17}, None, "patient/17"),
        ({"patient_id": True}, None, None),
        ({"patient_id": ["P-1"]}, None, None),
        ({"patient_id": "x" * 5_000}, None, None),
        ({"session_id": "wa-1", "phone": PHONE}, "session/wa-1", None),
    ],
)
def test_the_first_that_is_named_is_the_person(
    data: dict[str, Any], subject: str | None, person: str | None
) -> None:
    assert person_of(data, subject) == person
