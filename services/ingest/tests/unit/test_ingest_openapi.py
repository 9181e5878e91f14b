"""The API as it is documented: every operation named, guarded and explained."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from nexus_ingest.app import build
from nexus_ingest.settings import Settings
from nexus_shared.access.tokens import public_key_of
from nexus_shared.http.openapi import check_operations

SEED = bytes(32)


@pytest.fixture
def settings() -> Settings:
    return Settings(
        database_url="postgresql://nobody@127.0.0.1:1/nothing",
        database_api_url="postgresql://nobody@127.0.0.1:1/nothing",
        amqp_url="amqp://nobody@127.0.0.1:1/nothing",
        master_keys="k1:" + base64.b64encode(bytes(32)).decode(),
        token_public_keys="k1:" + base64.b64encode(public_key_of(SEED)).decode(),
        token_signing_key=base64.b64encode(SEED).decode(),
    )


@pytest.fixture
def document(settings: Settings) -> dict[str, Any]:
    found: dict[str, Any] = build(settings).api.openapi()
    return found


def test_every_operation_has_a_name_of_its_own(settings: Settings) -> None:
    assert {"publishEvents", "listEvents", "showStory", "recordQuarantineEntry", "createToken"} <= set(
        check_operations(build(settings).api)
    )


def test_every_operation_needs_a_key_and_says_what_it_does(document: dict[str, Any]) -> None:
    for path, operations in document["paths"].items():
        assert path.startswith("/v1/"), path
        for operation in operations.values():
            assert operation["security"], operation["operationId"]
            assert operation["description"], operation["operationId"]


def test_settings_of_a_tenant_are_written_out(document: dict[str, Any]) -> None:
    settings = document["components"]["schemas"]["NewTenantIn"]["properties"]["settings"]

    assert "$ref" not in str(settings)
    assert "America/Sao_Paulo" in str(settings)
    hours = settings["properties"]["business_hours"]["anyOf"][0]["items"]["properties"]
    assert hours.keys() == {"weekday", "opens", "closes"}


def test_static_paths_are_routed_before_ids(settings: Settings) -> None:
    paths = [path for path in build(settings).api.openapi()["paths"] if path.startswith("/v1/events/")]

    assert paths[-1] == "/v1/events/{event_id}"
    assert {"/v1/events/stats", "/v1/events/stream", "/v1/events/erasures"} <= set(paths[:-3])


def test_a_signing_key_that_nobody_could_verify_stops_the_start(settings: Settings) -> None:
    other = settings.model_copy(update={"token_signing_key": bytes(range(32))})

    with pytest.raises(ValueError, match="nobody could verify"):
        build(other)
