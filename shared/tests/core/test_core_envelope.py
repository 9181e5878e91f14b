import pytest
from pydantic import ValidationError

from nexus_shared.envelope import Command, Event, follow
from nexus_shared.testing.builders import a_lead_created

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_an_event_comes_back_from_its_json_as_it_was() -> None:
    event = a_lead_created(clinicunit="paulista", traceparent=TRACE, hops=3, sequence="42")
    assert Event.model_validate_json(event.to_json()) == event
    assert event.position == 42
    assert event.model_extra == {"clinicunit": "paulista"}


def test_an_event_says_only_what_is_set() -> None:
    event = Event(id="1", source="crm", type="lead.created", tenantid="clinica-sul")
    assert event.as_dict() == {
        "specversion": "1.0", "id": "1", "source": "crm", "type": "lead.created", "tenantid": "clinica-sul",
        "data": {}, "hops": 0, "schemaversion": 1,
    }  # fmt: skip
    assert event.position == 0


def test_the_next_event_of_a_story_carries_the_story() -> None:
    cause = a_lead_created(hops=2, traceparent=TRACE)
    event = follow(cause, "lead.qualified", {"lead_id": "lead-1"}, source="ai-service")
    assert (event.correlationid, event.causationid, event.hops) == (cause.id, cause.id, 3)
    assert (event.tenantid, event.subject, event.traceparent) == (cause.tenantid, cause.subject, TRACE)
    third = follow(event, "lead.assigned", {}, source="crm", subject="lead/other")
    assert (third.correlationid, third.causationid, third.hops, third.subject) == (
        cause.id,
        event.id,
        4,
        "lead/other",
    )


def test_saying_the_next_event_twice_says_it_once() -> None:
    cause = a_lead_created()
    said = {follow(cause, "lead.qualified", {"n": n}, source="ai-service").id for n in range(2)}
    assert len(said) == 1
    others = {
        follow(cause, "lead.lost", {}, source="ai-service").id,
        follow(cause, "lead.qualified", {}, source="crm").id,
        follow(cause, "lead.qualified", {}, source="ai-service", subject="lead/2").id,
        follow(a_lead_created(tenantid="clinica-norte"), "lead.qualified", {}, source="ai-service").id,
    }
    assert len(said | others) == 5


def test_a_story_that_goes_round_in_circles_ends() -> None:
    with pytest.raises(ValidationError, match="hops"):
        follow(a_lead_created(hops=32), "lead.qualified", {}, source="ai-service")


def test_a_command_tells_how_its_owner_may_retry_it() -> None:
    command = Command.model_validate(
        {**a_lead_created().as_dict(), "type": "whatsapp.send_message", "retry": {"max_attempts": 3}}
    )
    assert (command.retry.max_attempts, command.retry.on_unknown, command.deadline) == (3, "retry", None)
    for wrong in ({"max_attempts": 0}, {"on_unknown": "hope"}, {"until": "morning"}):
        with pytest.raises(ValidationError):
            Command.model_validate({**command.as_dict(), "retry": wrong})


def test_a_refusal_never_shows_what_was_given() -> None:
    with pytest.raises(ValidationError) as refused:
        Event.model_validate({**a_lead_created().as_dict(), "subject": "canary\n"})
    assert "canary" not in str(refused.value)
