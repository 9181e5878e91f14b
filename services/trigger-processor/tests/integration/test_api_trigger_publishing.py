"""What publishing does to events: exactly those after it fire, whoever reads the log meanwhile."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from nexus_shared import catalogue
from nexus_shared.testing.builders import a_lead_created, a_payment_overdue

pytestmark = pytest.mark.integration

OTHER = "clinica-norte"


def a_lead(number: int) -> Any:
    return a_lead_created(number=number, data={"source": "ads"})


async def fired(processor: Any, trigger: dict[str, Any]) -> list[int]:
    rows = await processor.fetch(
        "select position from runs where trigger_id = $1 order by position", trigger["id"]
    )
    return [row["position"] for row in rows]


async def test_exactly_the_events_after_publishing_fire(processor: Any) -> None:
    client = await processor.client()
    before = await processor.deliver(a_lead(1), lane=3)
    trigger = await processor.publish(client, processor.definition())
    after = await processor.deliver(a_lead(2), lane=3)
    assert trigger["effective_after"] == before
    assert await fired(processor, trigger) == [after]


async def test_what_a_slow_lane_still_holds_from_before_publishing_does_not_fire(processor: Any) -> None:
    client = await processor.client()
    event = a_lead(1).model_copy(update={"tenantid": processor.tenant})
    late = processor.lanes.frame(5, [event])
    await processor.deliver(a_lead(2), lane=3)
    trigger = await processor.publish(client, processor.definition())
    await processor.matcher.commit([late])
    after = await processor.deliver(a_lead(3), lane=5)
    assert late.last < trigger["effective_after"]
    assert await fired(processor, trigger) == [after]


async def test_publishing_amid_traffic_misses_nothing_and_takes_nothing_from_before(processor: Any) -> None:
    client = await processor.client()
    drafts = [await processor.create(client, processor.definition(name=f"T{n}")) for n in range(6)]
    published: list[dict[str, Any]] = []

    async def publish_all() -> None:
        for draft in drafts:
            answer = await client.post(f"/v1/triggers/{draft['id']}/publish")
            published.append(answer.json())

    async def read(matcher: Any, lane: int) -> None:
        number = lane * 1000
        while len(published) < len(drafts) or number < lane * 1000 + 20:
            number += 1
            event = a_lead(number).model_copy(update={"tenantid": processor.tenant})
            await matcher.commit([processor.lanes.frame(lane, [event])])

    await processor.deliver(a_lead(1))
    start = processor.lanes.position
    await asyncio.gather(publish_all(), read(processor.matcher, 1), read(processor.replica(), 2))
    for trigger in published:
        expected = list(range(trigger["effective_after"] + 1, processor.lanes.position + 1))
        assert await fired(processor, trigger) == expected, trigger["name"]
    assert published[-1]["effective_after"] > published[0]["effective_after"] >= start


async def test_of_many_who_publish_one_draft_one_succeeds(processor: Any) -> None:
    client = await processor.client()
    made = await processor.create(client, processor.definition())
    answers = await asyncio.gather(
        *[client.post(f"/v1/triggers/{made['id']}/publish", json={"reason": f"{n}"}) for n in range(5)]
    )
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409, 409]
    refused = next(answer.json() for answer in answers if answer.status_code == 409)
    assert refused["type"] == "urn:nexus:problem:nothing-to-publish"
    versions = (await client.get(f"/v1/triggers/{made['id']}/versions")).json()["items"]
    assert [version["version"] for version in versions] == [1]


async def test_triggers_published_at_once_do_not_wait_for_each_other_for_ever(processor: Any) -> None:
    client = await processor.client()
    made = [await processor.create(client, processor.definition(name=f"T{n}")) for n in range(8)]
    async with asyncio.timeout(10):
        answers = await asyncio.gather(*[client.post(f"/v1/triggers/{each['id']}/publish") for each in made])
    assert {answer.status_code for answer in answers} == {200}


async def test_publishing_what_somebody_else_has_changed_is_refused(processor: Any) -> None:
    client = await processor.client()
    made = await processor.create(client, processor.definition())
    path = f"/v1/triggers/{made['id']}"
    await client.put(path, json=processor.definition(name="Novo"), headers={"If-Match": '"1"'})
    stale = await client.post(f"{path}/publish", headers={"If-Match": '"1"'})
    fresh = await client.post(f"{path}/publish", headers={"If-Match": '"2"'})
    assert (stale.status_code, fresh.status_code, fresh.json()["published"]["name"]) == (412, 200, "Novo")


async def test_a_draft_that_no_longer_passes_the_checks_is_not_published(processor: Any) -> None:
    client = await processor.client()
    made = await processor.create(client, processor.definition())
    await processor.fetch(
        "update triggers set draft = jsonb_set(draft, '{actions,0,parameters,url}', '\"http://10.0.0.1/\"')"
        " where trigger_id = $1",
        made["id"],
    )
    answer = await client.post(f"/v1/triggers/{made['id']}/publish")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/actions/0/parameters/url"


async def test_a_trigger_that_changes_its_event_type_leaves_the_old_one(processor: Any) -> None:
    client = await processor.client()
    trigger = await processor.publish(client, processor.definition())
    first = await processor.deliver(a_lead(1), a_payment_overdue(number=1)) - 1
    other = processor.definition(event_type="payment.overdue")
    other["conditions"] = None
    path = f"/v1/triggers/{trigger['id']}"
    await client.put(path, json=other, headers={"If-Match": "*"})
    await client.post(f"{path}/publish", json={"reason": "cobrança"})
    second = await processor.deliver(a_lead(2), a_payment_overdue(number=2))
    assert await fired(processor, trigger) == [first, second]
    runs = (await client.get("/v1/runs", params={"trigger_id": trigger["id"]})).json()["items"]
    assert [(run["event"]["type"], run["trigger"]["version"]) for run in runs] == [
        ("payment.overdue", 2),
        ("lead.created", 1),
    ]


async def test_a_disabled_trigger_rests_and_goes_on_from_where_it_is_enabled(processor: Any) -> None:
    client = await processor.client()
    trigger = await processor.publish(client, processor.definition())
    path = f"/v1/triggers/{trigger['id']}"
    first = await processor.deliver(a_lead(1))
    disabled = (await client.post(f"{path}/disable", json={"reason": "férias"})).json()
    again = (await client.post(f"{path}/disable")).json()
    await processor.deliver(a_lead(2))
    enabled = (await client.post(f"{path}/enable", json={"reason": "voltamos"})).json()
    last = await processor.deliver(a_lead(3))
    assert (disabled["status"], enabled["status"], enabled["version"]) == ("disabled", "published", 1)
    assert again["revision"] == disabled["revision"]
    assert await fired(processor, trigger) == [first, last]


async def test_a_draft_can_be_neither_enabled_nor_disabled(processor: Any) -> None:
    client = await processor.client()
    made = await processor.create(client, processor.definition())
    for step in ("enable", "disable"):
        answer = await client.post(f"/v1/triggers/{made['id']}/{step}")
        assert (answer.status_code, answer.json()["type"]) == (409, "urn:nexus:problem:never-published")


async def test_restoring_an_old_version_publishes_it_as_the_next_one(processor: Any) -> None:
    client = await processor.client()
    trigger = await processor.publish(client, processor.definition())
    path = f"/v1/triggers/{trigger['id']}"
    loose = processor.definition(name="Todos")
    loose["conditions"] = None
    for number, definition in enumerate((loose, processor.definition(name="Rascunho"))):
        await client.put(path, json=definition, headers={"If-Match": "*"})
        if number == 0:
            await client.post(f"{path}/publish", json={"reason": "todos"})
    restored = (await client.post(f"{path}/versions/1/restore", json={"reason": "volta"})).json()
    await processor.deliver(a_lead_created(number=1, data={"source": "site"}))
    after = await processor.deliver(a_lead(2))
    versions = (await client.get(f"{path}/versions", params={"limit": 2})).json()
    assert (restored["version"], restored["draft"]["name"]) == (3, "Rascunho")
    assert restored["published"] == trigger["published"]
    assert await fired(processor, trigger) == [after]
    assert [(each["version"], each["reason"]) for each in versions["items"]] == [(3, "volta"), (2, "todos")]
    rest = (await client.get(f"{path}/versions", params={"cursor": versions["next_cursor"]})).json()
    assert [(each["version"], each["published_by"]) for each in rest["items"]] == [(1, "ana")]
    assert (await client.get(f"{path}/versions/2")).json()["definition"]["name"] == "Todos"
    assert (await client.post(f"{path}/versions/9/restore")).status_code == 404


async def test_deleting_a_published_trigger_stops_it_and_keeps_its_history(processor: Any) -> None:
    client = await processor.client()
    trigger = await processor.publish(client, processor.definition())
    first = await processor.deliver(a_lead(1))
    path = f"/v1/triggers/{trigger['id']}"
    deleted = await client.delete(path, params={"reason": "não usamos mais"})
    await processor.deliver(a_lead(2))
    assert (deleted.status_code, deleted.content) == (204, b"")
    assert await fired(processor, trigger) == [first]
    gone = [await client.get(path), await client.delete(path), await client.post(f"{path}/publish")]
    assert [answer.status_code for answer in gone] == [404] * 3
    assert (await client.get("/v1/triggers")).json()["items"] == []
    assert (await client.get(f"{path}/versions/1")).json()["definition"] == trigger["published"]
    run = (await client.get("/v1/runs")).json()["items"][0]
    assert run["trigger"] == {"id": trigger["id"], "name": "Leads de anúncios", "version": 1}


async def test_steps_of_a_triggers_life_become_facts_that_fit_the_catalogue(processor: Any) -> None:
    client = await processor.client()
    trigger = await processor.publish(client, processor.definition())
    path = f"/v1/triggers/{trigger['id']}"
    await client.post(f"{path}/disable", json={"reason": "férias"})
    await client.post(f"{path}/enable")
    await client.delete(path)
    facts = await processor.facts("automation.trigger_published", "automation.trigger_deleted")
    told = [(fact["type"].partition(".")[2], fact["data"].get("reason")) for fact in facts]
    assert told == [
        ("trigger_published", "primeira versão"),
        ("trigger_disabled", "férias"),
        ("trigger_published", None),
        ("trigger_disabled", None),
        ("trigger_deleted", None),
    ]
    for fact in facts:
        event_type = catalogue.find(fact["type"])
        assert event_type is not None
        assert event_type.problems(fact["data"], fact["subject"]) == []
        assert fact["data"] | {"reason": ""} == {
            "trigger_id": trigger["id"], "version": 1, "by": "ana", "reason": ""
        }  # fmt: skip
    assert len({fact["id"] for fact in facts}) == 5


async def test_a_change_that_is_refused_leaves_no_fact_and_no_version(processor: Any) -> None:
    client = await processor.client()
    trigger = await processor.publish(client, processor.definition())
    theirs = await processor.client(tenant=OTHER)
    await theirs.post(f"/v1/triggers/{trigger['id']}/disable")
    await client.post(f"/v1/triggers/{trigger['id']}/publish")
    changes = await processor.fetchval(
        "select count(*) from trigger_changes where trigger_id = $1", trigger["id"]
    )
    versions = await processor.fetchval(
        "select count(*) from trigger_versions where trigger_id = $1", trigger["id"]
    )
    assert (changes, versions) == (1, 1)


async def test_the_list_tells_how_often_a_trigger_ran_and_when_last(processor: Any) -> None:
    client = await processor.client()
    trigger = await processor.publish(client, processor.definition())
    await processor.deliver(a_lead(1), a_lead(2))
    item = (await client.get("/v1/triggers")).json()["items"][0]
    runs = (await client.get("/v1/runs")).json()["items"]
    assert item["id"] == trigger["id"]
    assert item["execution_count"] == 2
    assert item["last_run_id"] in {run["id"] for run in runs}
    assert item["last_run_at"] is not None


async def test_a_trigger_on_a_pattern_fires_for_every_type_it_names_until_it_is_disabled(
    processor: Any,
) -> None:
    client = await processor.client()
    unseen = await processor.deliver(a_lead(1))
    definition = processor.definition(event_type="lead.*", conditions=None)
    trigger = await processor.publish(client, definition)
    wanted = await processor.deliver(a_lead(2))
    await processor.deliver(a_payment_overdue(number=3))
    await client.post(f"/v1/triggers/{trigger['id']}/disable")
    late = await processor.deliver(a_lead(4))
    assert unseen < wanted < late
    assert await fired(processor, trigger) == [wanted]
