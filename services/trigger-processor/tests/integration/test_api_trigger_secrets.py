"""Signing secrets: shown once, kept sealed, replaced without a gap."""

from __future__ import annotations

import json
from typing import Any

import pytest
from structlog.testing import capture_logs

from nexus_shared.outbound.signing import SignatureInvalid, new_secret, verify
from nexus_shared.testing.builders import a_lead_created

pytestmark = pytest.mark.integration


def is_signed_with(secret: str, delivery: Any) -> bool:
    try:
        verify([secret], delivery.headers, delivery.body)
    except SignatureInvalid:
        return False
    return True


async def sent(processor: Any, number: int) -> Any:
    """The delivery of the `number`-th lead."""
    await processor.deliver(a_lead_created(number=number, data={"source": "ads"}))
    await processor.send(number)
    return processor.receiver.deliveries[-1]


async def test_a_made_secret_signs_what_is_sent(processor: Any) -> None:
    client = await processor.client()
    trigger = await processor.publish(client, processor.definition())
    delivery = await sent(processor, 1)
    assert trigger["secrets"]["avisar"].startswith("whsec_")
    assert is_signed_with(trigger["secrets"]["avisar"], delivery)
    assert not is_signed_with(new_secret(), delivery)


async def test_a_given_secret_signs_and_is_never_repeated(processor: Any) -> None:
    client = await processor.client()
    secret = new_secret()
    definition = processor.definition(actions=[processor.action("avisar", secret=secret)])
    trigger = await processor.publish(client, definition)
    assert trigger["secrets"] == {}
    assert secret not in json.dumps(trigger)
    assert is_signed_with(secret, await sent(processor, 1))


async def test_secrets_appear_in_no_later_answer_no_log_and_no_row(processor: Any) -> None:
    client = await processor.client()
    given = new_secret()
    with capture_logs() as lines:
        definition = processor.definition(
            actions=[processor.action("avisar"), processor.action("crm", secret=given)]
        )
        trigger = await processor.publish(client, definition)
        path = f"/v1/triggers/{trigger['id']}"
        rotated = (await client.post(f"{path}/actions/crm/secret")).json()["secret"]
        await processor.deliver(a_lead_created(data={"source": "ads"}))
        await processor.send(2)
        run = (await client.get("/v1/runs")).json()["items"][0]["id"]
        answers = [
            (await client.get(each)).text
            for each in (path, "/v1/triggers", f"{path}/versions", f"{path}/versions/1", f"/v1/runs/{run}")
        ]
        answers.append((await client.get(f"/v1/runs/{run}/trace", params={"reveal": True})).text)
        answers.append((await client.put(path, json=definition, headers={"If-Match": "*"})).text)
        refused = {**definition, "event_type": "no such type"}
        answers.append((await client.post("/v1/triggers", json=refused)).text)
    stored = [
        str(dict(row))
        for table in ("triggers", "trigger_versions", "action_secrets", "actions", "attempts")
        for row in await processor.fetch(f"select * from {table} where tenant_id = $1", processor.tenant)
    ]
    for secret in (trigger["secrets"]["avisar"], given, rotated):
        assert not any(secret in text for text in [*answers, str(lines), *stored])


async def test_while_a_secret_is_replaced_both_sign_and_after_a_day_the_new_one_alone(processor: Any) -> None:
    client = await processor.client()
    trigger = await processor.publish(client, processor.definition())
    answer = await client.post(f"/v1/triggers/{trigger['id']}/actions/avisar/secret")
    old, new = trigger["secrets"]["avisar"], answer.json()["secret"]
    during = await sent(processor, 1)
    until = await processor.fetchval(
        "select round(extract(epoch from previous_until - changed_at) / 3600) from action_secrets"
        " where trigger_id = $1",
        trigger["id"],
    )
    await processor.fetch(
        "update action_secrets set previous_until = clock_timestamp() where trigger_id = $1", trigger["id"]
    )
    after = await sent(processor, 2)
    assert until == 24
    assert is_signed_with(old, during) and is_signed_with(new, during)
    assert is_signed_with(new, after) and not is_signed_with(old, after)


async def test_saving_a_draft_makes_secrets_for_new_actions_only(processor: Any) -> None:
    client = await processor.client()
    trigger = await processor.publish(client, processor.definition())
    more = processor.definition(actions=[processor.action("avisar"), processor.action("crm")])
    saved = (await client.put(f"/v1/triggers/{trigger['id']}", json=more, headers={"If-Match": "*"})).json()
    again = (await client.put(f"/v1/triggers/{trigger['id']}", json=more, headers={"If-Match": "*"})).json()
    assert set(saved["secrets"]) == {"crm"}
    assert again["secrets"] == {}
    assert is_signed_with(trigger["secrets"]["avisar"], await sent(processor, 1))


async def test_saving_the_same_secret_again_does_not_push_the_previous_one_out(processor: Any) -> None:
    client = await processor.client()
    trigger = await processor.publish(client, processor.definition())
    path = f"/v1/triggers/{trigger['id']}"
    definition = processor.definition(actions=[processor.action("avisar", secret=new_secret())])
    for _ in range(2):
        await client.put(path, json=definition, headers={"If-Match": "*"})
    assert is_signed_with(trigger["secrets"]["avisar"], await sent(processor, 1))


async def test_an_action_that_does_not_exist_has_no_secret_to_replace(processor: Any) -> None:
    client = await processor.client()
    trigger = await processor.publish(client, processor.definition())
    for key in ("outra", "%00", "a" * 500):
        answer = await client.post(f"/v1/triggers/{trigger['id']}/actions/{key}/secret")
        assert answer.status_code == 404
