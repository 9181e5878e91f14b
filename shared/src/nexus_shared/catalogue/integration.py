"""Integrations: the health of a clinic's connections to third parties."""

from __future__ import annotations

from nexus_shared.catalogue.base import EventData, open_field
from nexus_shared.catalogue.event_type import Family
from nexus_shared.catalogue.values import Id, Line, When

family = Family("integration", "Integrações", subject="integration/{integration_id}")


class IntegrationHealth(EventData):
    """A connection and how it is."""

    integration_id: Id = open_field("The integration", required=True)
    kind: Line | None = open_field("Which third party", values=("waha", "n8n", "openai", "notificame", "crm"))
    since: When | None = open_field("Since when")
    error_class: Line | None = open_field("What sort of error, as a code")


@family.event(
    "integration.connected",
    meaning="A connection works",
    meaning_pt="Uma integração está conectada.",
    used_by="ops",
)
class IntegrationConnected(IntegrationHealth):
    pass


@family.event(
    "integration.degraded",
    meaning="A connection works badly",
    meaning_pt="Uma integração está instável.",
    used_by="ops",
)
class IntegrationDegraded(IntegrationHealth):
    pass


@family.event(
    "integration.disconnected",
    meaning="A connection does not work",
    meaning_pt="Uma integração foi desconectada.",
    used_by="ops",
)
class IntegrationDisconnected(IntegrationHealth):
    pass
