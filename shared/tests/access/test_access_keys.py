from __future__ import annotations

import base64
import os

import pytest
from pydantic_settings import BaseSettings, SettingsConfigDict

from nexus_shared.access.keys import Key, KeyList, Keys, format_keys, parse_key, parse_keys

A, B = bytes(range(32)), bytes(range(224, 256))


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="NEXUS_", frozen=True, hide_input_in_errors=True)

    master_keys: KeyList
    token_signing_key: Key


def standard(key: bytes) -> str:
    return base64.b64encode(key).decode()


def test_a_key_list_keeps_its_order_and_the_first_is_current() -> None:
    keys = parse_keys(f"k2:{standard(B)}, k1:{standard(A)}")

    assert list(keys.items()) == [("k2", B), ("k1", A)]
    assert keys.current == "k2"


def test_both_alphabets_and_missing_padding_are_read() -> None:
    urlsafe = base64.urlsafe_b64encode(B).decode()

    assert parse_key(standard(B)) == parse_key(urlsafe) == parse_key(urlsafe.rstrip("=")) == B


def test_what_is_written_can_be_read() -> None:
    keys = {"k1": os.urandom(32), "k2": os.urandom(32)}

    assert parse_keys(format_keys(keys)) == keys


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "Entry 1"),
        ("k1", "Entry 1"),
        (f"k1:{standard(A)},", "Entry 2"),
        (f"k.1:{standard(A)}", "Entry 1"),
        (f"k1:{standard(A)},k1:{standard(B)}", "repeats the kid 'k1'"),
        (f"k1:{standard(A[:31])}", "this one has 31"),
        ("k1:s3cret!value", "not base64"),
    ],
)
def test_a_bad_key_list_is_refused_without_quoting_it(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint) as refused:
        parse_keys(text)

    assert "s3cret" not in str(refused.value)
    assert standard(A)[:8] not in str(refused.value)


def test_printing_keys_shows_kids_only() -> None:
    keys = Keys({"k1": A})

    assert f"{keys} {keys!r} {[keys]}" == "Keys(k1) Keys(k1) [Keys(k1)]"


def test_settings_read_keys_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEXUS_MASTER_KEYS", f"k1:{standard(A)}")
    monkeypatch.setenv("NEXUS_TOKEN_SIGNING_KEY", standard(B))

    settings = Settings()

    assert settings.master_keys == {"k1": A}
    assert settings.token_signing_key == B
