"""Access: keys that must stop working."""

from __future__ import annotations

from nexus_shared.catalogue.base import EventData, open_field
from nexus_shared.catalogue.event_type import INGEST, Family
from nexus_shared.catalogue.values import Id, ListOf

family = Family("access", "Acesso", owners=(INGEST,))


@family.event(
    "access.key_revoked",
    meaning="A key must stop working now",
    meaning_pt="Uma chave de acesso foi revogada.",
    subjects=("key/{jti}",),
    used_by="ops",
)
class AccessKeyRevoked(EventData):
    jti: Id = open_field("The key's id", required=True)


@family.event(
    "access.revocations_listed",
    meaning="The full list of revoked keys, every minute",
    meaning_pt="A lista completa de chaves revogadas foi publicada.",
    used_by="ops",
)
class AccessRevocationsListed(EventData):
    jtis: ListOf[Id] = open_field("The ids of all revoked keys that have not expired", required=True)
