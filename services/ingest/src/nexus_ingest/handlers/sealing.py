"""Sealing personal data at the door and opening it for those who may read, one key per person."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from asyncpg.pgproto import pgproto
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from nexus_ingest.domain.content import Stored, canonical_again, digest_of, rejoined
from nexus_ingest.domain.frames import Recorded
from nexus_ingest.store.keys import KeyStore
from nexus_ingest.store.log import NewKey
from nexus_shared.sealing import KEY_BYTES, MasterKeys, SealBroken, random_bytes, seal, unseal

CACHED_KEYS = 20_000
CACHED_SECONDS = 300.0
"""An erased person's key is forgotten by every instance within this time."""

Person = tuple[str, str]
"""Tenant and person (`patient/P-17`)."""


class PersonKey:
    """`new` is what must be stored with the first event sealed under it; None once that is done."""

    __slots__ = ("aead", "expires_at", "key_id", "new")

    def __init__(self, key_id: UUID, raw: bytes, new: NewKey | None = None) -> None:
        self.key_id, self.new = key_id, new
        self.aead = AESGCM(raw)
        self.expires_at = time.monotonic() + CACHED_SECONDS


class Sealer:
    """Keys by person, made on first sight. In the database a person is only a keyed hash."""

    def __init__(self, store: KeyStore, master: MasterKeys) -> None:
        self._store, self._master = store, master
        self._pseudonym_key = master.derived("pseudonym")
        self._by_person: OrderedDict[Person, PersonKey] = OrderedDict()

    def pseudonym(self, person: Person, generation: int = 0) -> UUID:
        """The key's id: the same for the same person, and telling nothing about them."""
        text = f"{person[0]}|{person[1]}|{generation}".encode()
        return pgproto.UUID(hashlib.blake2b(text, key=self._pseudonym_key, digest_size=16).digest())

    async def keys_of(self, persons: Iterable[Person]) -> dict[Person, PersonKey]:
        """A usable key for each person. New ones are not stored here: they travel with the append (`new`)."""
        now = time.monotonic()
        found: dict[Person, PersonKey] = {}
        missing: dict[Person, int] = {}
        for person in set(persons):
            key = self._by_person.get(person)
            if key is not None and key.expires_at > now:
                found[person] = key
            else:
                missing[person] = 0
        while missing:
            found.update(made := await self._find_or_make(missing))
            missing = {person: generation for person, generation in missing.items() if person not in made}
        return found

    async def _find_or_make(self, missing: dict[Person, int]) -> dict[Person, PersonKey]:
        """One round; a destroyed key moves its person to the next generation."""
        ids = {person: self.pseudonym(person, generation) for person, generation in missing.items()}
        stored = await self._store.find(list(ids.values()))
        usable = {}
        for person, key_id in ids.items():
            if key_id not in stored:
                usable[person] = self._made_meanwhile(person, key_id) or self._make(person, key_id)
            elif (wrapped := stored[key_id][1]) is None:
                missing[person] += 1
            else:
                usable[person] = PersonKey(key_id, self._master.open(wrapped, f"{person[0]}|{key_id}"))
        for person, key in usable.items():
            self._remember(person, key)
        return usable

    def _made_meanwhile(self, person: Person, key_id: UUID) -> PersonKey | None:
        """Another call met the same new person while this one was looking; two keys under one id would lose data."""
        key = self._by_person.get(person)
        return key if key is not None and key.key_id == key_id else None

    def _make(self, person: Person, key_id: UUID) -> PersonKey:
        raw = random_bytes(KEY_BYTES)
        return PersonKey(
            key_id, raw, NewKey(key_id, person[0], self._master.seal(raw, f"{person[0]}|{key_id}"))
        )

    def forget_new(self) -> None:
        """After an append that failed: keys that may not be stored are looked up again."""
        for person in [person for person, key in self._by_person.items() if key.new is not None]:
            del self._by_person[person]

    def forget(self, persons: Iterable[Person]) -> None:
        """Keys that turned out to be another instance's, or destroyed."""
        for person in persons:
            self._by_person.pop(person, None)

    def _remember(self, person: Person, key: PersonKey) -> None:
        self._by_person[person] = key
        self._by_person.move_to_end(person)
        while len(self._by_person) > CACHED_KEYS:
            self._by_person.popitem(last=False)

    async def erase(self, person: Person) -> list[UUID]:
        """The ids of every generation of this person's keys, forgotten here; the caller destroys them."""
        self._by_person.pop(person, None)
        ids = [self.pseudonym(person, generation) for generation in range(32)]
        return list(await self._store.find(ids))

    async def open(self, rows: Sequence[Stored]) -> list[Recorded]:
        """Rows of the log as outgoing events; what belongs to an erased person stays closed."""
        keys = await self._open_keys(rows)
        return [
            Recorded(
                row.position,
                row.recorded_at,
                row.lane,
                row.tenant_id,
                row.type,
                row.event_id,
                rejoined(row, _unsealed(row, keys)),
            )
            for row in rows
        ]

    async def changed(self, rows: Sequence[Stored], digest_key: bytes) -> list[int]:
        """Positions of rows whose content is not what their digest says; those of erased persons cannot be told."""
        keys = await self._open_keys(rows)
        return [
            row.position
            for row in rows
            if (row.key_id is None or row.key_id in keys) and not _agrees(row, keys, digest_key)
        ]

    async def _open_keys(self, rows: Sequence[Stored]) -> dict[UUID, AESGCM]:
        ids = list({row.key_id for row in rows if row.key_id is not None})
        wrapped = await self._store.find(ids) if ids else {}
        return {
            key_id: AESGCM(self._master.open(key, f"{tenant}|{key_id}"))
            for key_id, (tenant, key) in wrapped.items()
            if key is not None
        }


def _unsealed(row: Stored, keys: Mapping[UUID, AESGCM]) -> bytes | None:
    key = keys.get(row.key_id)
    if row.sealed is None or key is None:
        return None
    return unseal(key, row.sealed, associated(row.tenant_id, row.source, row.event_id))


def _agrees(row: Stored, keys: Mapping[UUID, AESGCM], digest_key: bytes) -> bool:
    try:
        content = canonical_again(row, _unsealed(row, keys))
    except (SealBroken, ValueError):
        return False
    return digest_of(digest_key, content) == row.digest


def associated(tenant_id: str, source: str, event_id: str) -> bytes:
    """A sealed part opens only in the row it was sealed for."""
    return f"{tenant_id}|{source}|{event_id}".encode()


def seal_part(key: PersonKey, plain: bytes, tenant_id: str, source: str, event_id: str) -> bytes:
    return seal(key.aead, plain, associated(tenant_id, source, event_id))
