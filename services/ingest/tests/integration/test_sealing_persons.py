"""Personal data is sealed under one key per person, and destroying that key is the end of it."""

import asyncio
import logging
from typing import Any

import orjson
import pytest
import structlog

from nexus_ingest.domain.door import Publisher
from nexus_shared import strict_json
from nexus_shared.envelope import STRUCTURED, Event
from nexus_shared.ids import TenantId
from nexus_shared.messaging.delivery import Delivery
from nexus_shared.sealing import MasterKeys, SealBroken
from nexus_shared.testing.builders import a_lead_created, a_lead_status_changed, an_appointment_scheduled

pytestmark = pytest.mark.integration

SUL, NORTE = TenantId("clinica-sul"), TenantId("clinica-norte")
OLD, NEW = {"2026-01": b"o" * 32}, {"2026-11": b"n" * 32}


async def record(instance: Any, *events: Event) -> list[str]:
    publisher = Publisher("test", None, service="crm")
    items = [strict_json.inspect(event.as_dict()) for event in events]
    return [verdict.answer.status for verdict in await instance.recorder.record(items, publisher)]


async def read(instance: Any) -> list[Event]:
    return [Event.model_validate_json(event.json) for event in await instance.recorded()]


async def keys(admin: Any) -> list[str]:
    rows = await admin.fetch(
        "select key_id::text from automation_events where key_id is not null order by position"
    )
    return [row["key_id"] for row in rows]


async def test_one_person_has_one_key_and_every_other_person_another(instance: Any, admin: Any) -> None:
    await record(instance, a_lead_created(number=1), a_lead_created(number=2))
    await record(
        instance,
        a_lead_status_changed(number=1, id="s-1"),
        a_lead_created(number=1, tenantid="clinica-norte"),
    )
    await record(instance, an_appointment_scheduled(number=1))
    lead_1, lead_2, same, other_tenant, patient = await keys(admin)
    assert lead_1 == same
    assert len({lead_1, lead_2, other_tenant, patient}) == 4


async def test_a_person_is_a_pseudonym_in_the_database_that_only_the_master_key_explains(
    instance: Any, instances: Any
) -> None:
    person = ("clinica-sul", "lead/lead-1")
    other_master = (await instances("other", MasterKeys(NEW))).sealer
    assert instance.sealer.pseudonym(person) != other_master.pseudonym(person)
    assert instance.sealer.pseudonym(person) != instance.sealer.pseudonym(person, 1)
    assert instance.sealer.pseudonym(person) != instance.sealer.pseudonym(("clinica-norte", "lead/lead-1"))


async def test_instances_that_meet_a_person_at_the_same_moment_agree_on_the_key(
    instances: Any, admin: Any
) -> None:
    racing = [await instances(str(number)) for number in range(4)]
    events = [[a_lead_created(number=n, id=f"{n}-{at}") for n in range(30)] for at in range(4)]
    statuses = await asyncio.gather(*(record(one, *some) for one, some in zip(racing, events, strict=True)))
    assert {status for some in statuses for status in some} == {"stored"}
    assert await admin.value("select count(*) from subject_keys") == 30
    assert {event.data["name"] for event in await read(racing[0])} == {
        a_lead_created(number=n).data["name"] for n in range(30)
    }


async def erase(instance: Any, person: str, tenant: TenantId = SUL) -> int:
    return int(await instance.keys.destroy(tenant, await instance.sealer.erase((tenant, person))))


async def test_an_erased_persons_events_come_out_without_the_sealed_part(instance: Any) -> None:
    await record(instance, a_lead_created(number=1, clinicunit="paulista"), a_lead_created(number=2))
    assert await erase(instance, "lead/lead-1") == 1
    erased, kept = await read(instance)
    assert kept.data == a_lead_created(number=2).data
    assert erased.data.keys().isdisjoint({"name", "phone", "email", "message_first"})
    assert (erased.data["lead_id"], erased.model_extra) == ("lead-1", {})
    assert await erase(instance, "lead/lead-1") == 0


async def test_what_comes_after_an_erasure_is_sealed_under_a_new_key(instance: Any, admin: Any) -> None:
    for generation in range(3):
        await record(instance, a_lead_created(id=f"e-{generation}"))
        found = await read(instance)
        assert ["name" in event.data for event in found] == [False] * generation + [True]
        await erase(instance, "lead/lead-1")
    assert len(set(await keys(admin))) == 3


async def test_an_instance_that_still_remembers_a_destroyed_key_loses_nothing_that_comes_later(
    instances: Any,
) -> None:
    here, there = await instances("here"), await instances("there")
    await record(there, a_lead_created(id="before"))
    await erase(here, "lead/lead-1")
    assert await record(there, a_lead_created(id="after"), a_lead_created(number=2)) == ["stored", "stored"]
    before, after, other = await read(here)
    assert ("name" in before.data, after.data["name"]) == (False, a_lead_created().data["name"])
    assert other.data == a_lead_created(number=2).data


async def test_only_the_tenant_itself_can_destroy_its_persons_keys(instance: Any) -> None:
    await record(instance, a_lead_created())
    ids = await instance.sealer.erase((SUL, "lead/lead-1"))
    assert await instance.keys.destroy(NORTE, ids) == 0
    assert (await read(instance))[0].data == a_lead_created().data


@pytest.mark.parametrize("moved", ["sealed = other.sealed", "sealed = other.sealed, key_id = other.key_id"])
async def test_a_sealed_part_opens_in_no_other_row_and_for_no_other_tenant(
    moved: str, instance: Any, admin: Any
) -> None:
    await record(
        instance, a_lead_created(), a_lead_created(id="same-person"), a_lead_created(number=2, tenantid=NORTE)
    )
    for position in (2, 3):
        await admin.unprotected(
            f"update automation_events e set {moved} from automation_events other"
            f" where e.position = {position} and other.position = 1"
        )
        rows = await instance.log.after(position - 1, (await instance.log.head()).last_recorded_at, 1)
        with pytest.raises(SealBroken):
            await instance.sealer.open(rows)


async def test_after_a_rotation_old_events_open_new_persons_get_the_new_key_and_duplicates_are_known(
    instances: Any, admin: Any
) -> None:
    before = await instances("before", MasterKeys(OLD))
    await record(before, a_lead_created(number=1))
    after = await instances("after", MasterKeys({**NEW, **OLD}))
    assert await record(after, a_lead_created(number=1), a_lead_created(number=2)) == ["duplicate", "stored"]
    assert await record(after, a_lead_created(number=1, id="again")) == ["stored"]
    assert [event.data["name"] for event in await read(after)] == [
        a_lead_created(number=n).data["name"] for n in (1, 2, 1)
    ]
    wrapped = [
        row["wrapped"] for row in await admin.fetch("select wrapped from subject_keys order by created_at")
    ]
    assert [bytes(key[1 : 1 + key[0]]) for key in wrapped] == [b"2026-01", b"2026-11"]


async def test_without_the_right_master_key_nothing_is_passed_on_as_if_it_were_erased(instances: Any) -> None:
    await record(await instances("old", MasterKeys(OLD)), a_lead_created())
    with pytest.raises(SealBroken):
        await read(await instances("new", MasterKeys(NEW)))


async def test_no_personal_value_stands_in_any_table_or_in_what_is_logged(
    instance: Any, admin: Any, caplog: pytest.LogCaptureFixture
) -> None:
    personal = {
        "name": "canary-ana",
        "email": "canary@exemplo.com",
        "message_first": "canary text",
        "mystery": "canary-new",
    }
    good = a_lead_created(data=personal, clinicunit="canary-unit")
    unknown = a_lead_created(
        id="u", type="lab.result", data={"patient_id": "P-1", "finding": "canary finding"}
    )
    unfit = a_lead_created(id="b", data={**personal, "phone": "canary-phone"}).as_dict()
    conflict = {**good.as_dict(), "data": {**good.data, "name": "canary-other"}}
    with structlog.testing.capture_logs() as told, caplog.at_level(logging.DEBUG):
        await record(instance, good, unknown)
        deliveries = [
            Delivery(content, "clinica-sul.lead.created", STRUCTURED, user_id="pub.clinica-sul.crm")
            for content in (orjson.dumps(unfit), orjson.dumps(conflict), orjson.dumps(unfit)[:-1])
        ]
        await instance.recorder.commit(await instance.recorder.prepare(deliveries))
        assert "canary" in str(await read(instance)), "those who may read it can"
    assert "canary" not in str(told) + caplog.text
    for table in await admin.fetch("select tablename from pg_tables where schemaname = 'ingest'"):
        for row in await admin.fetch(f'select * from "{table["tablename"]}"'):
            assert "canary" not in str(dict(row)), table["tablename"]
