from datetime import timedelta

from nexus_shared.errors import Flaw, InputInvalid, NexusError, RetryLater, StoreAway


class TriggerNotFound(NexusError):
    status = 404
    slug = "trigger-not-found"
    title = "There is no such trigger"


def test_an_error_without_a_detail_says_its_title() -> None:
    assert str(TriggerNotFound()) == "There is no such trigger"
    assert (
        str(TriggerNotFound("Trigger 7 of clinica-sul was deleted")) == "Trigger 7 of clinica-sul was deleted"
    )


def test_flaws_and_headers_belong_to_one_error_alone() -> None:
    flaw = Flaw("/id", "Expected text", "missing")
    error = InputInvalid("Not valid", flaws=[flaw], headers={"X-A": "1"})
    assert (error.flaws, error.headers) == ((flaw,), {"X-A": "1"})
    assert (InputInvalid().flaws, InputInvalid().headers) == ((), {})
    assert flaw.as_dict() == {"pointer": "/id", "message": "Expected text", "code": "missing"}


def test_whoever_must_come_again_is_told_when() -> None:
    assert StoreAway().headers == {"Retry-After": "2"}
    assert RetryLater("Not now", after=timedelta(seconds=90)).headers == {"Retry-After": "90"}
    assert RetryLater("Not now", after=timedelta(milliseconds=5)).headers == {"Retry-After": "1"}
