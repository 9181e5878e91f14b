"""One type of event: what it means, who may publish it, what its data must look like and how it is cut in two."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from pydantic import ValidationError

from nexus_shared.catalogue.base import EventData
from nexus_shared.catalogue.fields import ENVELOPE, FieldInfo, describe
from nexus_shared.catalogue.flaws import flaws_of, needs_one_of, subject_disagrees, subject_is_malformed
from nexus_shared.catalogue.splitting import Data, Plan
from nexus_shared.errors import Flaw, NexusError

TRIGGER_PROCESSOR = "trigger-processor"
WHATSAPP_GATEWAY = "whatsapp-gateway"
N8N_BRIDGE = "n8n-bridge"
AI_SERVICE = "ai-service"
NOTIFICAME_GATEWAY = "notificame-gateway"
INGEST = "ingest"
ACTION_OWNERS = (TRIGGER_PROCESSOR, WHATSAPP_GATEWAY, N8N_BRIDGE, AI_SERVICE, NOTIFICAME_GATEWAY)

DataModel = TypeVar("DataModel", bound=EventData)


class SchemaVersionUnknown(NexusError):
    """Version 3 of 'lead.created' is not known here, the newest is 2. Update this service, or publish version 2."""

    status = 422
    slug = "schema-version-unknown"
    title = "The event's schema version is not known"


@dataclass(frozen=True, eq=False, kw_only=True)
class EventType:
    """A type of event. `data` is the model of its newest version; `owners` alone may publish it (none: anybody).

    `subjects` are templates such as "lead/{lead_id}", the usual one first. Of `one_of` at least one field is needed.
    `meaning_pt` is a sentence that a clinic understands; `used_by` names templates (T1…), AI capabilities (A1…) and
    feeds.
    """

    name: str
    data: type[EventData]
    meaning: str
    meaning_pt: str
    subjects: tuple[str, ...] = ()
    owners: frozenset[str] = frozenset()
    used_by: tuple[str, ...] = ()
    one_of: tuple[str, ...] = ()
    is_derived: bool = False

    @cached_property
    def version(self) -> int:
        return len(self.data.upcasters) + 1

    @property
    def subject(self) -> str | None:
        """The usual subject's template; None where any subject will do."""
        return self.subjects[0] if self.subjects else None

    @property
    def family(self) -> str:
        return self.name.partition(".")[0]

    def problems(self, data: Any, subject: str | None = None) -> list[Flaw]:
        """What is wrong with data of the newest version, and with the subject if given; empty when nothing is.

        Pointers are those of the whole event: "/data/phone", "/subject".
        """
        flaws: list[Flaw] = []
        try:
            self.data.__pydantic_validator__.validate_python(data)
        except ValidationError as error:
            flaws = flaws_of(
                error.errors(include_url=False, include_context=False, include_input=False),
                self.all_fields,
                data,
            )
            if not isinstance(data, dict):
                return flaws
        if self.one_of and all(data.get(name) is None for name in self.one_of):
            flaws.append(needs_one_of(self.one_of, data, self.data.model_fields))
        if subject is not None:
            flaws += self._subject_problems(subject, data)
        return flaws

    def subject_of(self, data: Mapping[str, Any]) -> str | None:
        """The subject that the data names, for an event that came without one; None where it names none."""
        for prefix, name in self._subject_forms:
            value = data.get(name)
            if isinstance(value, str) and value:
                return prefix + value
        return None

    def split(self, data: Data) -> tuple[Data, Data]:
        """(open, sealed): what may be read in the log, and what is personal, health or unknown. `join` inverts it."""
        return self._plan.split(data)

    def upcast(self, version: int, data: Data) -> Data:
        """Data of `version` as data of the newest one. Raises SchemaVersionUnknown."""
        if not 1 <= version <= self.version:
            raise SchemaVersionUnknown(
                f"Version {version} of '{self.name}' is not known here, the newest is {self.version}. "
                f"Update this service, or publish version {self.version}."
            )
        for upcaster in self.data.upcasters[version - 1 :]:
            data = upcaster(data)
        return data

    @cached_property
    def fields(self) -> Mapping[str, FieldInfo]:
        """What a condition may use, by dotted path: the envelope's fields and those of `data`."""
        return {**ENVELOPE, **{path: each for path, each in self.all_fields.items() if each.is_addressable}}

    @cached_property
    def all_fields(self) -> Mapping[str, FieldInfo]:
        """All fields of `data` by dotted path, also those inside lists."""
        return describe(self.data)

    def _subject_problems(self, subject: str, data: Data) -> list[Flaw]:
        if any(subject == prefix + str(data.get(name)) for prefix, name in self._subject_forms):
            return []
        forms = [form for form in self._subject_forms if subject.startswith(form[0]) and subject != form[0]]
        if self._subject_forms and not forms:
            return [subject_is_malformed(subject, self.subjects)]
        for prefix, name in forms:
            value = data.get(name)
            if isinstance(value, str) and subject != prefix + value:
                return [subject_disagrees(prefix + value, f"/data/{name}")]
        return []

    @cached_property
    def _subject_forms(self) -> tuple[tuple[str, str], ...]:
        """("lead/", "lead_id") for each template."""
        parts = (template.partition("{") for template in self.subjects)
        return tuple((prefix, name.rstrip("}")) for prefix, _, name in parts)

    @cached_property
    def _plan(self) -> Plan:
        return Plan(self.data)


class Family:
    """Event types of one beginning ("lead"), one module each. `subject` and `owners` hold unless a type says more."""

    def __init__(
        self, name: str, title_pt: str, *, subject: str | None = None, owners: Iterable[str] = ()
    ) -> None:
        self.name = name
        self.title_pt = title_pt
        self.types: list[EventType] = []
        self._subjects = (subject,) if subject else ()
        self._owners = owners

    def event(
        self,
        name: str,
        *,
        meaning: str,
        meaning_pt: str,
        subjects: tuple[str, ...] | None = None,
        owners: Iterable[str] | None = None,
        used_by: str = "",
        one_of: tuple[str, ...] = (),
        is_derived: bool = False,
    ) -> Callable[[type[DataModel]], type[DataModel]]:
        """Declares the class below as the data of event type `name`. A derived one is trigger-processor's alone."""

        def declare(model: type[DataModel]) -> type[DataModel]:
            event_type = EventType(
                name=name,
                data=model,
                meaning=meaning,
                meaning_pt=meaning_pt,
                subjects=subjects or self._subjects,
                owners=frozenset((TRIGGER_PROCESSOR,) if is_derived else owners or self._owners),
                used_by=tuple(used_by.split()),
                one_of=one_of,
                is_derived=is_derived,
            )
            self.types.append(event_type)
            return model

        return declare
