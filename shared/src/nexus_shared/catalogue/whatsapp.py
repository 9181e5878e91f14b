"""WhatsApp: messages in both directions, their acknowledgements, and the sessions that carry them."""

from __future__ import annotations

from typing import Literal

from nexus_shared.catalogue.base import EventData, Part, open_field, personal_field
from nexus_shared.catalogue.event_type import WHATSAPP_GATEWAY, Family
from nexus_shared.catalogue.values import Count, Flag, Id, Line, Number, Phone, Text, When

family = Family("whatsapp", "WhatsApp", subject="conversation/{conversation_id}", owners=(WHATSAPP_GATEWAY,))

MESSAGE_TYPES = ("text", "audio", "image", "document", "location", "reaction", "button")


class Media(Part):
    """A file of a message."""

    id: Line | None = personal_field("The file's id in the whatsapp-gateway")
    mime: Line | None = personal_field("Media type, like audio/ogg")
    size: Count | None = personal_field("Bytes")
    sha256: Line | None = personal_field("Hash of the content, hexadecimal")


class MessageData(EventData):
    """A message and the conversation it belongs to. Ids are the gateway's own: WAHA's contain phone numbers."""

    message_id: Id = open_field("The message's id in the whatsapp-gateway", required=True)
    conversation_id: Id | None = open_field("The conversation; the subject names it too")


@family.event(
    "whatsapp.message.received",
    meaning="A message came in",
    meaning_pt="A clínica recebeu uma mensagem no WhatsApp.",
    used_by="T1 T2 T3 A3 A4 A5",
)
class WhatsAppMessageReceived(MessageData):
    session_id: Id | None = open_field("The clinic's WhatsApp session")
    chat_id: Line | None = personal_field("The chat's id in WhatsApp; it contains the phone")
    from_phone: Phone | None = personal_field("The phone that wrote, E.164")
    from_lid: Line | None = personal_field("WhatsApp's hidden id of the writer")
    type: Line | None = open_field("What sort of message", values=MESSAGE_TYPES)
    text: Text | None = personal_field("What was written")
    media: Media | None = personal_field("The file that came with it")
    transcript: Text | None = personal_field("What was said in an audio")
    reply_to_message_id: Id | None = open_field("The message it answers")
    reply_to_action_id: Id | None = open_field("The action that had sent the message it answers")
    received_at: When | None = open_field("When it arrived")
    is_first_contact: Flag | None = open_field("This phone never wrote before")
    window_expires_at: When | None = open_field("Until then free-form answers are allowed")


class OutboundMessage(MessageData):
    """A message of ours, and the action that sent it."""

    action_id: Id | None = open_field("The action that sent it; none when a person did")
    to_phone: Phone | None = personal_field("The phone it went to, E.164")


@family.event(
    "whatsapp.message.sent",
    meaning="A message of ours was sent, the provider confirmed",
    meaning_pt="Uma mensagem da clínica foi enviada no WhatsApp.",
    used_by="all",
)
class WhatsAppMessageSent(OutboundMessage):
    session_id: Id | None = open_field("The clinic's WhatsApp session")
    chat_id: Line | None = personal_field("The chat's id in WhatsApp; it contains the phone")
    type: Line | None = open_field("What sort of message", values=MESSAGE_TYPES)
    template_id: Id | None = open_field("The message template used")
    origin: Literal["automation", "ai", "user_crm", "user_phone"] | None = open_field("Who wrote it")


@family.event(
    "whatsapp.message.delivered",
    meaning="A message of ours reached the phone",
    meaning_pt="Uma mensagem da clínica foi entregue no WhatsApp.",
    used_by="analytics",
)
class WhatsAppMessageDelivered(OutboundMessage):
    latency_s: Number | None = open_field("Seconds since it was sent")


@family.event(
    "whatsapp.message.read",
    meaning="A message of ours was read or played",
    meaning_pt="Uma mensagem da clínica foi lida no WhatsApp.",
    used_by="analytics A2",
)
class WhatsAppMessageRead(OutboundMessage):
    latency_s: Number | None = open_field("Seconds since it was sent")


@family.event(
    "whatsapp.message.failed",
    meaning="A message of ours was not delivered",
    meaning_pt="Uma mensagem da clínica não pôde ser entregue no WhatsApp.",
)
class WhatsAppMessageFailed(OutboundMessage):
    code: Line | None = open_field("Why, as a code")
    provider_detail: Text | None = personal_field("What the provider said")
    permanent: Flag | None = open_field("Trying again is useless")


SESSION_STATES = (
    "STOPPED",
    "STARTING",
    "SCAN_QR_CODE",
    "PASSKEY_REQUIRED",
    "PASSKEY_CONFIRMATION_REQUIRED",
    "WORKING",
    "FAILED",
)


@family.event(
    "whatsapp.session.status_changed",
    meaning="The clinic's WhatsApp connection changed its state",
    meaning_pt="A conexão do WhatsApp da clínica mudou de estado.",
    subjects=("session/{session_id}",),
    used_by="ops",
)
class WhatsAppSessionStatusChanged(EventData):
    session_id: Id = open_field("The clinic's WhatsApp session", required=True)
    from_: Line | None = open_field("The state before", values=SESSION_STATES, alias="from")
    to: Line = open_field("The state now", required=True, values=SESSION_STATES)
    phone: Phone | None = personal_field("The clinic's own number, E.164")
    reason: Line | None = open_field("Why, as a code or short text of WAHA's")


@family.event(
    "whatsapp.number.restricted",
    meaning="Signs of a ban or limit on the clinic's number",
    meaning_pt="O número de WhatsApp da clínica parece ter sido bloqueado ou limitado.",
    subjects=("session/{session_id}",),
)
class WhatsAppNumberRestricted(EventData):
    session_id: Id = open_field("The clinic's WhatsApp session", required=True)
    phone: Phone | None = personal_field("The clinic's own number, E.164")
    signal: Line | None = open_field("What was noticed, as a code")
    risk_score: Number | None = open_field("How sure we are; higher is worse")
    since: When | None = open_field("When it began")
