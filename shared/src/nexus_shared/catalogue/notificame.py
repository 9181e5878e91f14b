"""Notifica.me: Instagram, Messenger, e-mail and SMS."""

from __future__ import annotations

from nexus_shared.catalogue.base import EventData, Part, open_field, personal_field
from nexus_shared.catalogue.event_type import NOTIFICAME_GATEWAY, Family
from nexus_shared.catalogue.values import Count, Email, Id, Line, Phone, Text

family = Family(
    "notificame",
    "Notifica.me (Instagram, Messenger, e-mail, SMS)",
    subject="conversation/{conversation_id}",
    owners=(NOTIFICAME_GATEWAY,),
)


class ChannelContact(Part):
    """The person at the other end, as the channel knows them."""

    id: Line | None = personal_field("The person's id on the channel")
    name: Line | None = personal_field("Name shown on the channel")
    username: Line | None = personal_field("User name on the channel")
    phone: Phone | None = personal_field("Phone, E.164")
    email: Email | None = personal_field("E-mail address")


class ChannelMedia(Part):
    """A file of a message."""

    id: Line | None = personal_field("The file's id in the gateway")
    mime: Line | None = personal_field("Media type, like image/jpeg")
    size: Count | None = personal_field("Bytes")
    sha256: Line | None = personal_field("Hash of the content, hexadecimal")


class ChannelMessage(EventData):
    """A message on one of the channels."""

    message_id: Id = open_field("The message's id in the gateway", required=True)
    conversation_id: Id | None = open_field("The conversation; the subject names it too")
    account_id: Id | None = open_field("The clinic's account at Notifica.me")
    channel_id: Id | None = open_field("The clinic's channel at Notifica.me")
    channel: Line | None = open_field("Which channel", values=("instagram", "messenger", "email", "sms"))
    contact: ChannelContact | None = personal_field("The person at the other end")
    text: Text | None = personal_field("What was written")
    media: ChannelMedia | None = personal_field("The file that came with it")
    action_id: Id | None = open_field("The action that sent it")


@family.event(
    "notificame.message.received",
    meaning="A message came in",
    meaning_pt="A clínica recebeu uma mensagem por Instagram, Messenger, e-mail ou SMS.",
    used_by="T1 A3 A5",
)
class NotificameMessageReceived(ChannelMessage):
    pass


@family.event(
    "notificame.message.sent",
    meaning="A message of ours was sent",
    meaning_pt="Uma mensagem da clínica foi enviada por Instagram, Messenger, e-mail ou SMS.",
    used_by="T1 A3 A5",
)
class NotificameMessageSent(ChannelMessage):
    pass


@family.event(
    "notificame.message.failed",
    meaning="A message of ours was not delivered",
    meaning_pt="Uma mensagem da clínica não pôde ser entregue por Instagram, Messenger, e-mail ou SMS.",
    used_by="T1 A3 A5",
)
class NotificameMessageFailed(ChannelMessage):
    pass
