"""When something is away, or too much comes: a clear answer, when to come back, and nothing lost."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from nexus_shared.envelope import BATCH, STRUCTURED
from nexus_shared.testing.builders import a_lead_created
from nexus_shared.testing.faultproxy import FaultProxy

pytestmark = pytest.mark.integration


async def publish(clinic: Any, url: str, *numbers: int) -> httpx.Response:
    events = [a_lead_created(number=n, id=f"e-{n}", tenantid=clinic.tenant_id).as_dict() for n in numbers]
    return await clinic.http.post(f"{url}/v1/events", json=events, headers={"content-type": BATCH})


async def test_while_postgresql_is_away_the_answer_is_503_and_afterwards_all_is_taken(
    clinic: Any, instance: Any, ingest: Any
) -> None:
    at = urlsplit(ingest.database.worker_url)
    async with FaultProxy("127.0.0.1", at.port or 0) as proxy:
        through = {
            "database_url": ingest.database.worker_url.replace(f":{at.port}/", f":{proxy.port}/"),
            "database_api_url": ingest.database.api_url.replace(f":{at.port}/", f":{proxy.port}/"),
        }
        async with instance(roles="", **through) as url:
            assert (await publish(clinic, url, 1)).status_code == 202
            proxy.cut()
            away = [
                await publish(clinic, url, 1, 2),
                await publish(clinic, url, 1),
                await clinic.http.get(f"{url}/v1/events"),
                await clinic.http.get(f"{url}/v1/events/stats"),
                await clinic.http.get(f"{url}/v1/tokens"),
            ]
            ready = await clinic.http.get(f"{url}/health/ready")
            proxy.heal()
            again = await publish(clinic, url, 1, 2)

    for answer in away:
        assert answer.status_code == 503, answer.text
        assert answer.headers["retry-after"] == "2"
        assert answer.json()["type"] == "urn:nexus:problem:store-away"
    assert (ready.status_code, ready.json()["checks"]["postgres"]) == (503, False)
    assert [result["status"] for result in again.json()["results"]] == ["duplicate", "stored"]


async def test_who_brings_too_much_is_told_when_to_come_back(clinic: Any, instance: Any, ingest: Any) -> None:
    async with instance(roles="", publish_rate=1, publish_burst=3) as url:
        first = await publish(clinic, url, 1, 2)
        refused = await publish(clinic, url, 3, 4)
        other = await publish(ingest.clinic(), url, 1)

    assert (first.status_code, refused.status_code, other.status_code) == (202, 429, 202)
    assert refused.headers["retry-after"] == "1"
    assert "Wait 1 s" in refused.json()["detail"]
    assert len((await clinic.get("/v1/events"))["items"]) == 2


async def test_a_single_event_is_taken_in_structured_mode(clinic: Any) -> None:
    answer = await clinic.publish_raw(a_lead_created(tenantid=clinic.tenant_id).to_json(), STRUCTURED)

    assert answer.status_code == 202
    (result,) = answer.json()["results"]
    assert result["status"] == "stored"
