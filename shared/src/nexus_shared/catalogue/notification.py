"""Notifications: messages for people on the team."""

from __future__ import annotations

from nexus_shared.catalogue.base import EventData, open_field, personal_field
from nexus_shared.catalogue.event_type import Family
from nexus_shared.catalogue.values import Id, Line, ListOf, Text

family = Family("notification", "Notificações", subject="notification/{notification_id}")


@family.event(
    "notification.created",
    meaning="A message for a person on the team",
    meaning_pt="Uma notificação foi enviada a uma pessoa da equipe.",
    used_by="feed",
)
class NotificationCreated(EventData):
    notification_id: Id = open_field("The notification", required=True)
    title: Line | None = personal_field("What it says, in short")
    body: Text | None = personal_field("What it says")
    severity: Line | None = open_field("How important", values=("info", "warning", "critical"))
    recipients: ListOf[Line] | None = personal_field("Who gets it: ids or e-mail addresses")
    action_id: Id | None = open_field("The action that created it")
