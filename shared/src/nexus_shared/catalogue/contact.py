"""Contacts: people as Nexus knows them, whichever systems know them too; and what they agreed to."""

from __future__ import annotations

from typing import Literal

from nexus_shared.catalogue.base import EventData, Part, open_field, personal_field
from nexus_shared.catalogue.event_type import Family
from nexus_shared.catalogue.values import Id, Line, ListOf, Phone, Text, When

family = Family("contact", "Contatos e consentimento", subject="contact/{contact_id}")

CHANNELS = ("whatsapp", "email", "sms", "phone", "instagram", "messenger")
CONVERSATION = "conversation/{conversation_id}"


class Proof(Part):
    """How a consent can be shown later."""

    text: Text | None = personal_field("The words that were agreed to, or written")
    at: When | None = personal_field("When")
    ip: Line | None = personal_field("The address it came from")
    message_id: Id | None = personal_field("The message it was given in")


@family.event(
    "contact.merged",
    meaning="Two identities turned out to be one person",
    meaning_pt="Dois cadastros da mesma pessoa foram unidos.",
    subjects=("contact/{kept_contact_id}",),
    used_by="all",
)
class ContactMerged(EventData):
    kept_contact_id: Id = open_field("The contact that goes on", required=True)
    merged_contact_ids: ListOf[Id] = open_field("The contacts that are now part of it", required=True)
    match_basis: Literal["phone_variant", "lid", "cpf", "manual"] | None = open_field(
        "What showed that they are one"
    )


@family.event(
    "contact.consent_granted",
    meaning="A person agreed to be contacted",
    meaning_pt="Uma pessoa autorizou o contato da clínica.",
    used_by="all",
)
class ContactConsentGranted(EventData):
    contact_id: Id | None = open_field("The contact; the subject names it too")
    channel: Line | None = open_field("On which channel", values=CHANNELS)
    purpose: Literal["care", "billing", "marketing", "survey"] = open_field("For what", required=True)
    proof: Proof | None = personal_field("How it can be shown: text, at, and ip or message_id")
    legal_basis: Line | None = open_field(
        "Legal basis under the LGPD", values=("consent", "contract", "health_care")
    )


@family.event(
    "contact.consent_revoked",
    meaning="A person no longer agrees to be contacted",
    meaning_pt="Uma pessoa retirou a autorização de contato.",
    used_by="all",
)
class ContactConsentRevoked(EventData):
    contact_id: Id | None = open_field("The contact; the subject names it too")
    channel: Line | None = open_field("On which channel; all of them if absent", values=CHANNELS)
    purpose: Literal["care", "billing", "marketing", "survey", "all"] = open_field("For what", required=True)
    source: Line | None = open_field("How it was said", values=("keyword", "link", "staff"))
    message_id: Id | None = open_field("The message it was said in")


@family.event(
    "contact.erased",
    meaning="A person's data was erased",
    meaning_pt="Os dados de uma pessoa foram apagados a pedido dela.",
)
class ContactErased(EventData):
    contact_id: Id | None = open_field("The contact; the subject names it too")
    request_id: Id | None = open_field("The request for erasure")
    legal_exceptions: ListOf[Line] | None = open_field("What the law makes us keep, as codes")
    executed_at: When | None = open_field("When it was done")
    person: Line | None = personal_field(
        "Whose key was destroyed, like patient/P-17: who has copies deletes them"
    )
    reason: Text | None = personal_field("Why")
    requested_by: Line | None = personal_field("Who asked for it")


class Heard(EventData):
    """What a person said about being contacted, in a message."""

    contact_id: Id | None = open_field("The contact, if known already")
    conversation_id: Id | None = open_field("The conversation it was said in")
    phone: Phone | None = personal_field("The phone that wrote, E.164")
    channel: Line | None = open_field("The channel it was said on", values=CHANNELS)
    message_id: Id | None = open_field("The message it was said in")
    words: Text | None = personal_field("The words themselves")


@family.event(
    "contact.opted_out",
    meaning="A person wrote not to be contacted any more",
    meaning_pt="Uma pessoa pediu, em uma mensagem, para não receber mais contatos.",
    subjects=("contact/{contact_id}", CONVERSATION),
    used_by="all",
)
class ContactOptedOut(Heard):
    pass


@family.event(
    "contact.opted_in",
    meaning="A person wrote that contact is welcome again",
    meaning_pt="Uma pessoa pediu, em uma mensagem, para voltar a receber contatos.",
    subjects=("contact/{contact_id}", CONVERSATION),
    used_by="all",
)
class ContactOptedIn(Heard):
    pass
