import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from nexus_shared.sealing import MasterKeys, SealBroken, seal, unseal

OLD, NEW = {"2026-01": b"o" * 32}, {"2026-11": b"n" * 32}
WHERE = "clinica-sul|crm|1"
quick = settings(max_examples=60, deadline=None, derandomize=True)


@quick
@given(st.binary(max_size=50), st.text(max_size=20))
def test_what_was_sealed_opens_in_its_place_and_shows_nothing_outside(plain: bytes, where: str) -> None:
    keys = MasterKeys(OLD)
    sealed = keys.seal(plain, where)
    assert keys.open(sealed, where) == plain
    assert keys.seal(plain, where) != sealed
    assert len(plain) < 4 or plain not in sealed


@quick
@given(st.data())
def test_a_sealed_value_that_was_changed_cut_or_moved_does_not_open(data: st.DataObject) -> None:
    keys = MasterKeys(OLD)
    sealed = bytearray(keys.seal(b"Ana Beatriz", WHERE))
    at = data.draw(st.integers(0, len(sealed) - 1))
    with pytest.raises(SealBroken):
        keys.open(bytes(sealed[:at]), WHERE)
    with pytest.raises(SealBroken):
        keys.open(bytes(sealed), WHERE + data.draw(st.text(min_size=1, max_size=3)))
    sealed[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(SealBroken):
        keys.open(bytes(sealed), WHERE)


def test_another_key_does_not_open_it() -> None:
    sealed = seal(AESGCM(b"a" * 32), b"Ana", b"")
    with pytest.raises(SealBroken):
        unseal(AESGCM(b"b" * 32), sealed, b"")
    with pytest.raises(SealBroken, match="not configured"):
        MasterKeys(NEW).open(MasterKeys(OLD).seal(b"Ana", WHERE), WHERE)
    with pytest.raises(SealBroken):
        MasterKeys({"2026-01": b"x" * 32}).open(MasterKeys(OLD).seal(b"Ana", WHERE), WHERE)


def test_after_a_rotation_the_new_key_seals_and_the_old_one_still_opens() -> None:
    before, after = MasterKeys(OLD), MasterKeys({**NEW, **OLD})
    assert after.open(before.seal(b"Ana", WHERE), WHERE) == b"Ana"
    sealed = after.seal(b"Ana", WHERE)
    assert sealed.startswith(b"\x072026-11")
    assert MasterKeys(NEW).open(sealed, WHERE) == b"Ana"


def test_a_rotation_changes_no_derived_key_and_every_purpose_has_its_own() -> None:
    before, after = MasterKeys(OLD), MasterKeys({**NEW, **OLD})
    assert before.derived("digest") == after.derived("digest")
    assert len({before.derived(purpose) for purpose in ("digest", "pseudonym", "")}) == 3
    assert before.derived("digest") != MasterKeys(NEW).derived("digest")
    assert len(before.derived("digest")) == 32


@pytest.mark.parametrize("keys", [{}, {"a": b""}, {"a": b"x" * 31}, {"a": b"x" * 32, "b": b"x" * 16}])
def test_keys_that_are_none_are_refused_at_the_start(keys: dict[str, bytes]) -> None:
    with pytest.raises(ValueError, match="32 bytes each"):
        MasterKeys(keys)
