"""Conversations: when a person of the team takes over, and when nobody answers."""

from __future__ import annotations

from nexus_shared.catalogue.base import EventData, open_field
from nexus_shared.catalogue.event_type import Family
from nexus_shared.catalogue.values import Id, Line, Number, When

family = Family("conversation", "Conversas", subject="conversation/{conversation_id}")


class ConversationData(EventData):
    """A conversation and whose it is."""

    conversation_id: Id = open_field("The conversation", required=True)
    contact_id: Id | None = open_field("The contact")
    patient_id: Id | None = open_field("The patient")
    lead_id: Id | None = open_field("The lead, while not yet a patient")


@family.event(
    "conversation.human_takeover_started",
    meaning="A person of the team answered; automations keep quiet",
    meaning_pt="Uma pessoa da equipe assumiu a conversa.",
)
class ConversationHumanTakeoverStarted(ConversationData):
    by_user_id: Id | None = open_field("Who took over, if known")
    device: Line | None = open_field("The device used, where no user is known")
    channel: Line | None = open_field("The channel", values=("whatsapp", "instagram", "messenger", "email"))
    hold_until: When | None = open_field("Automations keep quiet until then")


@family.event(
    "conversation.human_takeover_ended",
    meaning="The team gave the conversation back, or its time ran out",
    meaning_pt="A equipe devolveu a conversa para a automação.",
)
class ConversationHumanTakeoverEnded(ConversationData):
    reason: Line | None = open_field("Why, as a code", values=("released", "expired"))
    minutes: Number | None = open_field("How long it lasted")


@family.event(
    "conversation.went_unanswered",
    meaning="Somebody has waited too long for an answer, in business hours",
    meaning_pt="Uma pessoa está esperando resposta da clínica há tempo demais.",
    used_by="T1 A5",
    is_derived=True,
)
class ConversationWentUnanswered(ConversationData):
    waiting_minutes: Number | None = open_field("Business minutes since the last message")
    last_message_id: Id | None = open_field("The message that waits for an answer")
    owner_id: Id | None = open_field("The team member who should answer")
