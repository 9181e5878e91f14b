"""Editing triggers over HTTP: drafts, checks, revisions, lists, copies."""

from __future__ import annotations

from typing import Any

import pytest

from nexus_shared.access.principal import Scope
from nexus_shared.http.openapi import check_operations

pytestmark = pytest.mark.integration

PATIENT = {"field": "data.name", "operator": "contains", "value": "Ana"}


async def test_a_new_trigger_is_a_draft_that_reads_as_a_sentence(processor: Any) -> None:
    client = await processor.client()
    answer = await client.post("/v1/triggers", json=processor.definition())
    made = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/v1/triggers/{made['id']}"
    assert answer.headers["etag"] == '"1"'
    assert (made["status"], made["version"], made["published"]) == ("draft", None, None)
    assert made["sentence"]["pt-BR"] == (
        'Quando um lead é criado e origem é "ads", então enviar webhook para 127.0.0.1.'
    )
    assert made["sentence"]["en"].startswith("When lead.created happens")
    shown = (await client.get(f"/v1/triggers/{made['id']}")).json()
    assert shown == {key: value for key, value in made.items() if key not in ("secrets", "hints")}


async def test_a_definition_with_flaws_is_refused_with_pointers_and_what_to_do(processor: Any) -> None:
    client = await processor.client()
    flawed = processor.definition(
        conditions={"combinator": "and", "rules": [{**PATIENT, "field": "data.nam"}]}
    )
    flawed["actions"][0]["parameters"] |= {"url": "http://10.0.0.1/hook", "headers": {"Host": "evil"}}
    answer = await client.post("/v1/triggers", json=flawed)
    problem = answer.json()
    assert (answer.status_code, problem["type"]) == (422, "urn:nexus:problem:definition-invalid")
    told = {error["pointer"]: error["message"] for error in problem["errors"]}
    assert "did you mean 'data.name'?" in told["/conditions/rules/0/field"]
    assert "https" in told["/actions/0/parameters/url"]
    assert "/actions/0/parameters/headers/Host" in told
    assert (await client.get("/v1/triggers")).json()["items"] == []


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b'{"name": "a\\u0000b"}', 422),
        (b'{"name": "a", "name": "b"}', 422),
        (b"[]", 422),
        (b"{", 422),
        (b'{"name": NaN}', 422),
        (b'{"a":' * 900 + b"1" + b"}" * 900, 422),
        (b" " * 300_000, 413),
    ],
)
async def test_what_cannot_be_stored_is_refused(processor: Any, content: bytes, status: int) -> None:
    client = await processor.client()
    for path in ("/v1/triggers", "/v1/triggers/validate"):
        answer = await client.post(path, content=content)
        assert answer.status_code == status, (path, answer.text)


async def test_validating_saves_nothing_and_tells_flaws_hints_and_the_sentence(processor: Any) -> None:
    client = await processor.client()
    fit = (await client.post("/v1/triggers/validate", json=processor.definition())).json()
    odd = (
        await client.post(
            "/v1/triggers/validate", json=processor.definition(event_type="lead.creatd", conditions=None)
        )
    ).json()
    unfit = (await client.post("/v1/triggers/validate", json=processor.definition(actions=[]))).json()
    assert (fit["valid"], fit["errors"], fit["hints"]) == (True, [], [])
    assert fit["sentence"]["pt-BR"].startswith("Quando um lead é criado")
    assert odd["valid"] and "did you mean 'lead.created'?" in odd["hints"][0]["message"]
    assert (unfit["valid"], unfit["errors"][0]["pointer"]) == (False, "/actions")
    assert (await client.get("/v1/triggers")).json()["items"] == []


async def test_two_people_cannot_overwrite_each_other(processor: Any) -> None:
    client = await processor.client()
    made = await processor.create(client, processor.definition())
    path = f"/v1/triggers/{made['id']}"
    first = await client.put(path, json=processor.definition(name="Um"), headers={"If-Match": '"1"'})
    second = await client.put(path, json=processor.definition(name="Dois"), headers={"If-Match": '"1"'})
    unsaid = await client.put(path, json=processor.definition(name="Três"))
    odd = await client.put(path, json=processor.definition(name="Três"), headers={"If-Match": "abc"})
    assert (first.status_code, first.headers["etag"]) == (200, '"2"')
    assert (second.status_code, second.json()["type"]) == (412, "urn:nexus:problem:revision-conflict")
    assert "revision 2" in second.json()["detail"]
    assert (unsaid.status_code, odd.status_code) == (428, 400)
    assert (await client.get(path)).json()["name"] == "Um"


async def test_saving_the_published_definition_again_leaves_no_draft(processor: Any) -> None:
    client = await processor.client()
    made = await processor.publish(client, processor.definition())
    path = f"/v1/triggers/{made['id']}"
    changed = await client.put(path, json=processor.definition(name="Outro"), headers={"If-Match": "*"})
    back = await client.put(path, json=processor.definition(), headers={"If-Match": "*"})
    assert changed.json()["has_draft"] and changed.json()["published"]["name"] == "Leads de anúncios"
    assert not back.json()["has_draft"] and back.json()["name"] == "Leads de anúncios"


async def test_the_list_is_narrowed_by_status_event_type_and_name(processor: Any) -> None:
    client = await processor.client()
    await processor.publish(client, processor.definition(name="Bem-vindo"))
    await processor.create(client, processor.definition(name="Todos os leads", event_type="lead.*"))
    paid = processor.definition(name="Cobrança", event_type="payment.overdue", conditions=None)
    paid["conditions"] = None
    await processor.create(client, paid)

    async def names(**filters: str) -> list[str]:
        answer = await client.get("/v1/triggers", params=filters)
        return [item["name"] for item in answer.json()["items"]]

    assert await names() == ["Cobrança", "Todos os leads", "Bem-vindo"]
    assert await names(status="published") == ["Bem-vindo"]
    assert await names(event_type="lead.created") == ["Todos os leads", "Bem-vindo"]
    assert await names(event_type="lead.lost") == ["Todos os leads"]
    assert await names(text="COBRAN") == ["Cobrança"]
    assert await names(text="%") == []


async def test_pages_follow_each_other_without_gap_or_repeat(processor: Any) -> None:
    client = await processor.client()
    made = [(await processor.create(client, processor.definition(name=f"T{n}")))["id"] for n in range(5)]
    seen: list[str] = []
    cursor = None
    for _ in range(3):
        params = {"limit": 2, **({"cursor": cursor} if cursor else {})}
        page = (await client.get("/v1/triggers", params=params)).json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
    assert seen == made[::-1]
    assert cursor is None


@pytest.mark.parametrize("query", ["cursor=eyJ", "text=%00", "event_type=a%0Ab", "status=odd", "limit=0"])
async def test_odd_filters_are_refused_with_a_problem(processor: Any, query: str) -> None:
    answer = await (await processor.client()).get(f"/v1/triggers?{query}")
    assert answer.status_code in (400, 422)
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_copy_is_a_draft_with_secrets_of_its_own(processor: Any) -> None:
    client = await processor.client()
    made = await processor.publish(client, processor.definition())
    copy = (await client.post(f"/v1/triggers/{made['id']}/duplicate")).json()
    named = (await client.post(f"/v1/triggers/{made['id']}/duplicate", json={"name": "Meu"})).json()
    assert (copy["name"], copy["status"], copy["version"]) == ("Leads de anúncios (cópia)", "draft", None)
    assert named["name"] == "Meu"
    assert copy["draft"]["conditions"] == made["published"]["conditions"]
    assert len({made["secrets"]["avisar"], copy["secrets"]["avisar"], named["secrets"]["avisar"]}) == 3


async def test_keys_without_the_scope_are_refused(processor: Any) -> None:
    reader = await processor.client(Scope.TRIGGERS_READ)
    outsider = await processor.client(Scope.EVENTS_WRITE)
    assert (await reader.get("/v1/triggers")).status_code == 200
    assert (await reader.post("/v1/triggers", json=processor.definition())).status_code == 403
    for path in ("/v1/triggers", "/v1/runs", "/v1/decisions", "/v1/dead-letters"):
        assert (await outsider.get(path)).status_code == 403
        assert (await outsider.get(path, headers={"Authorization": "Bearer x"})).status_code == 401


async def test_every_route_has_an_operation_id(processor: Any) -> None:
    names = check_operations(processor.service.api)
    assert {"createTrigger", "publishTrigger", "traceRun", "redriveRun", "listDecisions"} <= set(names)
    document = processor.service.api.openapi()
    schema = document["paths"]["/v1/triggers"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert {"name", "event_type", "conditions", "actions"} <= set(schema["properties"])
    assert "$ref" not in str(schema)
