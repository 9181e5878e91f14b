from __future__ import annotations

import pytest

from nexus_shared.access.revocations import REMEMBER_SECONDS, Revocations, refresh


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_revoked_key_is_known_at_once() -> None:
    revocations = Revocations()

    revocations.revoke("j-1")

    assert revocations.is_revoked("j-1")
    assert not revocations.is_revoked("j-2")


def test_a_list_read_before_a_revocation_does_not_give_the_key_back() -> None:
    clock = Clock()
    revocations = Revocations(clock)
    revocations.revoke("j-1")

    revocations.replace(["j-0"])
    assert revocations.is_revoked("j-0")
    assert revocations.is_revoked("j-1")

    clock.now += REMEMBER_SECONDS + 1
    revocations.replace(["j-0"])
    assert not revocations.is_revoked("j-1")


def test_a_list_replaces_the_one_before() -> None:
    revocations = Revocations()

    revocations.replace(["j-1"])
    revocations.replace(["j-2"])

    assert not revocations.is_revoked("j-1")
    assert revocations.is_revoked("j-2")


async def test_a_round_takes_the_current_list() -> None:
    revocations = Revocations()

    async def current() -> list[str]:
        return ["j-1"]

    await refresh(revocations, current)

    assert revocations.is_revoked("j-1")


async def test_a_list_that_cannot_be_read_leaves_the_old_one_standing() -> None:
    revocations = Revocations()
    revocations.replace(["j-1"])

    async def current() -> list[str]:
        raise ConnectionRefusedError

    with pytest.raises(ConnectionRefusedError):
        await refresh(revocations, current)

    assert revocations.is_revoked("j-1")
