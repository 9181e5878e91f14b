import base64
import hashlib
import re
from collections.abc import Mapping
from typing import Any

import pytest

from nexus_shared import topology
from nexus_shared.ids import TenantId
from nexus_shared.topology import ClientUser, definitions

PASSWORDS = {"nexus-admin": "a", **{f"svc.{service}": f"p-{service}" for service in topology.SERVICES}}
PUBLISHER = ClientUser("pub", TenantId("clinica-sul"), "crm", "secret")
SUBSCRIBER = ClientUser("sub", TenantId("clinica-sul"), "bi", "secret")
LAYOUT = definitions(passwords=PASSWORDS, clients=[PUBLISHER, SUBSCRIBER])


def named(section: str) -> Mapping[str, dict[str, Any]]:
    return {each["name"]: each for each in LAYOUT[section]}


def test_every_queue_is_a_quorum_queue_under_exactly_one_policy() -> None:
    for name, queue in named("queues").items():
        assert queue["durable"]
        assert queue["arguments"]["x-queue-type"] == "quorum"
        assert len([p for p in LAYOUT["policies"] if re.search(p["pattern"], name)]) == 1, name
    assert len([p for p in LAYOUT["policies"] if re.search(p["pattern"], f"{SUBSCRIBER.user}.all")]) == 1


def test_no_queue_of_ours_drops_anything_and_no_subscriber_can_stop_the_fan_out() -> None:
    for policy in LAYOUT["policies"]:
        expected = "drop-head" if policy["name"] == "subscribers" else "reject-publish"
        assert policy["definition"]["overflow"] == expected
        assert {"max-length", "max-length-bytes"} & set(policy["definition"])


def test_what_a_service_rejects_becomes_a_dead_letter_that_is_routed() -> None:
    for queue in LAYOUT["queues"]:
        if queue["name"] in (topology.DEAD_LETTER_QUEUE, topology.UNROUTED_QUEUE):
            continue
        (policy,) = (p for p in LAYOUT["policies"] if re.search(p["pattern"], queue["name"]))
        assert policy["definition"]["dead-letter-strategy"] == "at-least-once"
        exchange = policy["definition"]["dead-letter-exchange"]
        key = policy["definition"]["dead-letter-routing-key"]
        assert (exchange, key, topology.DEAD_LETTER_QUEUE) in {
            (b["source"], b["routing_key"], b["destination"]) for b in LAYOUT["bindings"]
        }


def test_an_event_is_never_given_up_by_the_broker() -> None:
    (policy,) = (p for p in LAYOUT["policies"] if p["name"] == "ingest.record")
    assert "delivery-limit" not in policy["definition"]


def test_what_must_stay_in_order_has_one_reader_at_a_time() -> None:
    ordered = {name for name, q in named("queues").items() if q["arguments"].get("x-single-active-consumer")}
    lanes = {f"trigger-processor.log.{lane:02d}" for lane in range(16)}
    assert ordered == {"ingest.record"} | lanes


def test_every_binding_joins_what_exists() -> None:
    for binding in LAYOUT["bindings"]:
        assert binding["source"] in named("exchanges")
        assert binding["destination"] in named("queues")
    bound = {binding["destination"] for binding in LAYOUT["bindings"]}
    assert bound == set(named("queues"))


def test_what_nobody_takes_is_kept_to_be_looked_at() -> None:
    for name in (topology.INBOUND, topology.COMMANDS):
        assert named("exchanges")[name]["arguments"] == {"alternate-exchange": topology.UNROUTED}


def test_a_command_goes_to_its_owner_and_only_to_it() -> None:
    keys = {
        b["routing_key"]: b["destination"] for b in LAYOUT["bindings"] if b["source"] == topology.COMMANDS
    }
    assert keys["whatsapp.#"] == "whatsapp-gateway.commands"
    assert len(keys) == len(topology.SERVICES)
    for one in keys:
        assert not any(other != one and other.startswith(one.removesuffix("#")) for other in keys)


def test_nobody_but_the_administrator_may_declare_queues_except_subscribers_their_own() -> None:
    for permission in LAYOUT["permissions"]:
        if permission["user"] not in ("nexus-admin", SUBSCRIBER.user):
            assert permission["configure"] == "^$"
    (own,) = (p["configure"] for p in LAYOUT["permissions"] if p["user"] == SUBSCRIBER.user)
    assert re.search(own, "sub.clinica-sul.bi.all")
    for foreign in (
        "sub.clinica-sul.bi2.x",
        "sub.clinica-sul-2.bi.x",
        "subXclinica-sul.bi.x",
        "ingest.record",
    ):
        assert not re.search(own, foreign)


def test_every_service_has_a_row_for_every_topic_exchange_since_a_missing_one_means_everything() -> None:
    topics = {name for name, exchange in named("exchanges").items() if exchange["type"] == "topic"}
    for service in topology.SERVICES:
        rows = {p["exchange"] for p in LAYOUT["topic_permissions"] if p["user"] == f"svc.{service}"}
        assert rows == topics


def test_passwords_are_stored_as_salted_hashes_only() -> None:
    user = named("users")["svc.ingest"]
    salted = base64.b64decode(user["password_hash"])
    assert salted[4:] == hashlib.sha256(salted[:4] + b"p-ingest").digest()
    assert "p-ingest" not in str(LAYOUT)
    assert [u["name"] for u in LAYOUT["users"] if u["tags"]] == ["nexus-admin"]


def test_a_new_client_adds_only_itself() -> None:
    added = topology.client_definitions(PUBLISHER)
    assert {section: len(rows) for section, rows in added.items()} == {
        "users": 1,
        "permissions": 1,
        "topic_permissions": 1,
    }
    assert added["permissions"][0]["write"] == r"^nexus\.inbound$"
    assert re.search(added["topic_permissions"][0]["write"], "clinica-sul.lead.created")
    for foreign in (
        "clinica-sul-2.lead.created",
        "clinica-norte.lead.created",
        "nexus.batch",
        "clinica-sulXlead",
    ):
        assert not re.search(added["topic_permissions"][0]["write"], foreign)


@pytest.mark.parametrize(
    ("kind", "tenant", "name"),
    [
        *(
            ("admin", "clinica-sul", "crm"),
            ("pub", "Clinica", "crm"),
            ("pub", "", "crm"),
            ("pub", "a.b", "crm"),
        ),
        *(("pub", "clinica-sul", ""), ("pub", "clinica-sul", "a.b"), ("pub", "clinica-sul", "crm\n")),
        *(
            ("sub", "clinica-sul\n", "bi"),
            ("sub", ".*", "bi"),
            ("sub", "clinica-sul", "#"),
            ("pub", "nexus", "crm"),
        ),
    ],
)
def test_a_client_with_a_name_that_a_pattern_could_misread_is_refused(
    kind: str, tenant: str, name: str
) -> None:
    with pytest.raises(ValueError, match=r"expected|lower-case"):
        ClientUser(kind, TenantId(tenant), name, "secret")


def test_a_user_that_is_no_service_is_refused() -> None:
    with pytest.raises(ValueError, match="known are"):
        definitions(passwords={"svc.typo": "x"})


def test_names_are_made_in_one_place() -> None:
    assert topology.log_queue("trigger-processor", 7) == "trigger-processor.log.07"
    assert topology.commands_of("n8n-bridge") == "n8n-bridge.commands"
    assert topology.inbound_key("clinica-sul", "batch") == "clinica-sul.batch"
    assert topology.service_user("ingest") == "svc.ingest"
