"""What is generated from the code and committed says what the code says."""

from __future__ import annotations

from nexus_cli import contracts


def test_the_api_documents_agree_with_the_code() -> None:
    assert contracts.drift() == [], "run `make contracts`"


def test_every_route_has_an_operation_id_and_answers_errors_as_problems() -> None:
    for path, text in contracts.documents().items():
        if path.name.endswith("openapi.json"):
            assert '"operationId"' in text
            assert "application/problem+json" in text
