"""Tenants: a clinic's settings that every service may need."""

from __future__ import annotations

from nexus_shared.catalogue.base import EventData, Part, open_field
from nexus_shared.catalogue.event_type import INGEST, Family
from nexus_shared.catalogue.values import Clock, Day, Flag, Line, ListOf, Locale, Weekday, Zone

# Owned by ingest, which owns the tenants: whoever may publish events must not change a clinic's settings by it.
family = Family("tenant", "Clínica", subject="tenant/{tenant_id}", owners=(INGEST,))


class BusinessHours(Part):
    """One opening of the clinic. Several a day are several entries."""

    weekday: Weekday = open_field("Day of the week: 1 (Monday) to 7 (Sunday)", required=True)
    opens: Clock = open_field("Opens at this time of day", required=True)
    closes: Clock = open_field("Closes at this time of day", required=True)


class QuietHours(Part):
    """When nobody is to be disturbed. May pass midnight: 20:00 to 08:00."""

    starts: Clock = open_field("From this time of day", required=True)
    ends: Clock = open_field("Until this time of day", required=True)


class ConsentDefaults(Part):
    """What is allowed before anybody said yes or no, by purpose."""

    care: Flag | None = open_field("Messages about care, like reminders")
    billing: Flag | None = open_field("Messages about charges")
    marketing: Flag | None = open_field("Marketing")
    survey: Flag | None = open_field("Satisfaction surveys")


@family.event(
    "tenant.configured",
    meaning="The clinic's settings, all of them, as they are now",
    meaning_pt="As configurações da clínica foram alteradas.",
    used_by="all",
)
class TenantConfigured(EventData):
    name: Line | None = open_field("What the clinic is called")
    tz: Zone = open_field("The clinic's time zone", required=True)
    locale: Locale | None = open_field("The clinic's language, like pt-BR")
    business_hours: ListOf[BusinessHours] | None = open_field("When the clinic is open")
    closing_days: ListOf[Day] | None = open_field("Days on which it is closed")
    quiet_hours: QuietHours | None = open_field("When no automation writes to anybody")
    consent_defaults: ConsentDefaults | None = open_field("What is allowed before anybody said yes or no")
