import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta, timezone

import pytest

from nexus_shared.outbound.signing import SignatureInvalid, new_secret, secret_flaws, sign, verify

BODY = '{"nome":"João"}'.encode()
NOW = datetime.now(UTC)
OLD_SECRET, NEW_SECRET = new_secret(), new_secret()


def test_what_one_signs_the_other_verifies() -> None:
    verify([NEW_SECRET], sign([NEW_SECRET], "msg_1", datetime.now(UTC), BODY), BODY)


def test_the_signature_is_the_one_of_the_published_standard() -> None:
    headers = sign([NEW_SECRET], "msg_1", datetime(2026, 3, 1, tzinfo=UTC), BODY)
    key = base64.b64decode(NEW_SECRET.removeprefix("whsec_"))
    digest = hmac.new(key, b"msg_1.1772323200." + BODY, hashlib.sha256).digest()
    assert headers == {
        "webhook-id": "msg_1",
        "webhook-timestamp": "1772323200",
        "webhook-signature": "v1," + base64.b64encode(digest).decode(),
    }


def test_the_time_zone_of_the_attempt_does_not_matter() -> None:
    in_sao_paulo = NOW.astimezone(timezone(timedelta(hours=-3)))
    assert sign([NEW_SECRET], "msg_1", in_sao_paulo, BODY) == sign([NEW_SECRET], "msg_1", NOW, BODY)


def test_without_a_secret_there_is_an_id_and_a_time_but_no_signature() -> None:
    assert set(sign([], "msg_1", NOW, BODY)) == {"webhook-id", "webhook-timestamp"}


@pytest.mark.parametrize("known", [[OLD_SECRET], [NEW_SECRET], [OLD_SECRET, NEW_SECRET]])
def test_during_rotation_either_secret_proves_the_message(known: list[str]) -> None:
    verify(known, sign([NEW_SECRET, OLD_SECRET], "msg_1", datetime.now(UTC), BODY), BODY)


def test_a_signature_of_another_kind_may_stand_beside_ours() -> None:
    headers = sign([NEW_SECRET], "msg_1", datetime.now(UTC), BODY)
    headers["webhook-signature"] = "v1a,abc garbage v1,short " + headers["webhook-signature"]
    verify([NEW_SECRET], headers, BODY)


def test_header_names_are_read_in_any_case() -> None:
    verify(
        [NEW_SECRET],
        {k.title(): v for k, v in sign([NEW_SECRET], "msg_1", datetime.now(UTC), BODY).items()},
        BODY,
    )


@pytest.mark.parametrize(
    "change",
    [
        {"webhook-id": "msg_2"},
        {"webhook-timestamp": str(int(NOW.timestamp()) + 1)},
        {"webhook-timestamp": "yesterday"},
        {"webhook-timestamp": "nan"},
        {"webhook-signature": ""},
        {"webhook-signature": "v1,ção"},
        {"webhook-signature": "v2," + "A" * 43 + "="},
    ],
)
def test_a_changed_header_proves_nothing(change: dict[str, str]) -> None:
    with pytest.raises(SignatureInvalid):
        verify([NEW_SECRET], sign([NEW_SECRET], "msg_1", NOW, BODY) | change, BODY)


@pytest.mark.parametrize("body", [b"", BODY + b" ", b"\xff\xfe"])
def test_a_changed_body_proves_nothing(body: bytes) -> None:
    with pytest.raises(SignatureInvalid):
        verify([NEW_SECRET], sign([NEW_SECRET], "msg_1", NOW, BODY), body)


@pytest.mark.parametrize("minutes", [-6, 6])
def test_a_message_from_another_time_is_a_replay(minutes: int) -> None:
    headers = sign([NEW_SECRET], "msg_1", datetime.now(UTC) + timedelta(minutes=minutes), BODY)
    with pytest.raises(SignatureInvalid):
        verify([NEW_SECRET], headers, BODY)


def test_without_headers_or_secrets_nothing_is_proven() -> None:
    with pytest.raises(SignatureInvalid):
        verify([NEW_SECRET], {}, BODY)
    with pytest.raises(SignatureInvalid):
        verify([], sign([NEW_SECRET], "msg_1", NOW, BODY), BODY)


def test_a_new_secret_is_a_good_secret_and_never_the_same() -> None:
    assert secret_flaws(new_secret(), "/secret") == []
    assert new_secret() != new_secret()


@pytest.mark.parametrize(
    "secret", ["", "whsec_", "whsec_!!!", "whsec_" + "A" * 8, "A" * 44, "whsec_" + "A" * 200]
)
def test_a_poor_secret_is_refused_and_never_signs(secret: str) -> None:
    (flaw,) = secret_flaws(secret, "/secret")
    assert flaw.pointer == "/secret"
    with pytest.raises(ValueError):
        sign([secret], "msg_1", NOW, BODY)
