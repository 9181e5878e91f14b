"""Webhooks: endpoints of other systems that we call."""

from __future__ import annotations

from nexus_shared.catalogue.base import EventData, open_field
from nexus_shared.catalogue.event_type import Family
from nexus_shared.catalogue.values import Count, Id, When

family = Family("webhook", "Webhooks", subject="endpoint/{endpoint_id}")


@family.event(
    "webhook.endpoint_disabled",
    meaning="An endpoint failed so often that it is no longer called",
    meaning_pt="Um endereço de webhook foi desativado depois de muitas falhas.",
    used_by="ops",
)
class WebhookEndpointDisabled(EventData):
    endpoint_id: Id = open_field("The endpoint", required=True)
    consecutive_failures: Count | None = open_field("Failures in a row")
    first_failure_at: When | None = open_field("The first of them")
    last_status: Count | None = open_field("The last HTTP status; absent when nothing answered")
