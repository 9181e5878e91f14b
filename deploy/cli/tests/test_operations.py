"""The verbs that look into the running system and operate it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any
from uuid import uuid4

import aio_pika
import aiormq
import httpx
import pytest

from nexus_cli.launcher.installation import DEMO_TENANT
from nexus_cli.testing import NEXUS, System
from nexus_shared import topology
from nexus_shared.testing.builders import a_lead_created
from nexus_shared.testing.processes import wait_until

pytestmark = pytest.mark.e2e


def told(system: System, *arguments: str) -> Any:
    """What a verb says in JSON."""
    done = system.nexus(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


class TestEvents:
    def test_a_published_event_is_recorded_and_shown(self, running: System) -> None:
        data = json.dumps({"lead_id": "L-1", "name": "Ana Conceição"})
        result = told(running, "events", "publish", "lead.created", "--data", data, "--id", str(uuid4()))
        assert result["status"] == "stored"

        found = told(running, "events", "show", result["id"])
        assert found["position"] == result["position"]
        assert found["event"]["data"]["name"] == "Ana Conceição"
        assert told(running, "events", "show", f"#{result['position']}")["event"] == found["event"]

    def test_the_same_event_again_is_a_duplicate_and_other_content_a_conflict(self, running: System) -> None:
        def publish(lead_id: str) -> subprocess.CompletedProcess[str]:
            data = json.dumps({"lead_id": lead_id})
            return running.nexus("events", "publish", "lead.created", "--data", data, "--id", event_id)

        event_id = str(uuid4())
        assert "stored" in publish("L-1").stdout
        assert "duplicate" in publish("L-1").stdout
        conflict = publish("L-2")
        assert "conflict" in conflict.stdout
        assert conflict.returncode == 1

    def test_an_invalid_event_is_refused_with_pointer_and_advice(self, running: System) -> None:
        done = running.nexus(
            "events", "publish", "lead.created", "--data", '{"lead_id": "L-1", "phone": "x"}'
        )
        assert done.returncode == 1
        assert "/data/phone" in done.stderr

    def test_data_that_is_no_json_is_said_before_anything_is_sent(self, running: System) -> None:
        done = running.nexus("events", "publish", "lead.created", "--data", "{")
        assert done.returncode == 1
        assert "--data is not JSON" in done.stderr

    def test_a_file_of_events_goes_in_and_a_bad_line_is_named(self, running: System, tmp_path: Path) -> None:
        good = [a_lead_created(number=n, tenantid=DEMO_TENANT, id=str(uuid4())) for n in range(120)]
        bad = a_lead_created(tenantid=DEMO_TENANT, id=str(uuid4()), data={"email": "no address"})
        file = tmp_path / "events.jsonl"
        file.write_bytes(b"\n".join(event.to_json() for event in [*good, bad]))

        done = running.nexus("events", "publish", "--file", str(file), "--json")

        result = json.loads(done.stdout)
        assert result["statuses"] == {"stored": 120, "invalid": 1}
        assert result["refused"][0].startswith("line 121: /data/email")
        assert done.returncode == 1

    def test_tail_shows_what_is_recorded_from_now_on(self, running: System) -> None:
        position = self.publish(running)
        with subprocess.Popen(
            [NEXUS, "events", "tail", "--type", "lead.*", "--after", str(position), "--limit", "2", "--json"],
            stdout=subprocess.PIPE,
            text=True,
            env=running.environment,
        ) as process:
            later = [self.publish(running), self.publish(running)]
            seen, _ = process.communicate(timeout=30)
        assert [int(json.loads(line)["sequence"]) for line in seen.splitlines()] == later

    def publish(self, system: System) -> int:
        result = told(system, "events", "publish", "lead.created", "--data", '{"lead_id": "L-9"}')
        return int(result["position"])


class TestTokens:
    def test_a_key_can_be_made_listed_decoded_and_taken_back(self, running: System) -> None:
        made = told(running, "token", "create", "crm", "--tenant", DEMO_TENANT, "--role", "developer")
        decoded = told(running, "token", "decode", made["token"])
        assert (decoded["tenant"], decoded["sub"], decoded["valid"]) == (DEMO_TENANT, "crm", "yes")
        assert decoded["scopes"] == ["events:read", "events:write"]

        listed = {key["jti"]: key for key in told(running, "token", "list", "--tenant", DEMO_TENANT)}
        assert listed[made["jti"]]["status"] == "active"

        assert running.nexus("token", "revoke", made["token"]).returncode == 0
        listed = {key["jti"]: key for key in told(running, "token", "list", "--tenant", DEMO_TENANT)}
        assert listed[made["jti"]]["status"] == "revoked"
        refused = running.nexus("events", "show", "x", "--key", made["token"])
        assert "valid API key" in refused.stderr

    def test_an_unknown_scope_or_role_is_named_with_the_known_ones(self, running: System) -> None:
        done = running.nexus("token", "create", "crm", "--tenant", DEMO_TENANT, "--scope", "events:eat")
        assert done.returncode == 1
        assert "There is no 'events:eat'" in done.stderr
        assert "events:write" in done.stderr

    def test_what_is_no_token_is_said(self, running: System) -> None:
        assert "no API key" in running.nexus("token", "decode", "hello").stderr

    def test_a_token_of_somebody_else_is_not_valid_here(self, running: System) -> None:
        made = told(running, "token", "create", "crm", "--tenant", DEMO_TENANT, "--scope", "events:read")
        forged = made["token"][:-6] + "AAAAAA"
        decoded = running.nexus("token", "decode", "-", "--json", given=forged)
        assert json.loads(decoded.stdout)["valid"].startswith("no")


class TestPublishers:
    async def test_a_new_publisher_publishes_for_its_tenant_alone_also_after_a_restart(
        self, running: System
    ) -> None:
        url = told(running, "publisher", "add", "erp", "--tenant", "clinica-nova")["amqp_url"]
        assert await self.publish(url, "clinica-nova")
        assert not await self.publish(url, "clinica-alheia")

        running.stop()
        running.start()

        assert await self.publish(url, "clinica-nova")
        assert "pub.clinica-nova.erp" in running.nexus("publisher", "list").stdout
        assert running.nexus("publisher", "remove", "erp", "--tenant", "clinica-nova").returncode == 0
        with pytest.raises(aiormq.exceptions.AMQPError):
            await aio_pika.connect(url)

    async def publish(self, url: str, tenant_id: str) -> bool:
        async with await aio_pika.connect(url) as connection:
            channel = await connection.channel()
            exchange = await channel.get_exchange(topology.INBOUND, ensure=False)
            event = a_lead_created(tenantid=tenant_id, id=str(uuid4()))
            message = aio_pika.Message(
                event.to_json(), content_type="application/cloudevents+json", message_id=event.id
            )
            try:
                await exchange.publish(message, f"{tenant_id}.lead.created")
            except aiormq.exceptions.ChannelAccessRefused:
                return False
            return True

    def test_a_name_that_cannot_be_one_is_refused(self, running: System) -> None:
        done = running.nexus("publisher", "add", "ERP!", "--tenant", "clinica-nova")
        assert done.returncode == 1
        assert "lower-case" in done.stderr


class TestLog:
    def test_the_log_is_whole(self, running: System) -> None:
        report = told(running, "log", "verify")
        assert report["faults"] == []
        assert report["events"] > 0
        assert "The log is whole" in running.nexus("log", "verify").stdout


class TestDemo:
    def test_the_demo_delivers_every_webhook_it_expects_and_leaves_nothing_behind(
        self, running: System
    ) -> None:
        summary = told(running, "demo", "--events", "12", "--rate", "20")

        assert summary["published"] == summary["recorded"] == 12
        assert summary["webhooks_delivered"] == summary["webhooks_expected"] > 0
        assert summary["webhooks_unexpected"] == 0
        status = running.status
        triggers = httpx.get(
            f"{status['services']['trigger-processor']['url']}/v1/triggers",
            headers={"Authorization": f"Bearer {status['demo']['api_key']}"},
        ).json()
        assert [trigger["name"] for trigger in triggers["items"]] == []

    def test_the_demo_says_who_and_how_fast(self, running: System) -> None:
        done = running.nexus("demo", "--events", "6", "--rate", "20")
        assert done.returncode == 0, done.stdout + done.stderr
        assert "6 events published, 6 recorded" in done.stdout
        assert "p50" in done.stdout


class TestMigrate:
    def test_a_running_database_is_up_to_date(self, running: System) -> None:
        applied = told(running, "migrate")
        assert set(applied) >= {"ingest", "trigger-processor"}
        assert all(files == [] for files in applied.values())


def test_a_revoked_demo_key_is_replaced_at_the_next_start(running: System) -> None:
    before = running.status["demo"]["api_key"]
    assert running.nexus("token", "revoke", before).returncode == 0

    running.stop()
    running.start()

    after = running.status["demo"]["api_key"]
    assert after != before
    assert wait_until(lambda: running.nexus("events", "show", "no-such-event").returncode == 1, 5)
    assert "no such event" in running.nexus("events", "show", "no-such-event").stderr
