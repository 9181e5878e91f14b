"""What staff define: the trigger's JSON, read strictly, with everything that is wrong with it."""

from __future__ import annotations

import difflib
import re
from datetime import timedelta
from functools import lru_cache
from typing import Annotated, Any

import orjson
from pydantic import Field, ValidationError
from pydantic_core import ErrorDetails

from nexus_shared import catalogue
from nexus_shared.envelope import MAX_HOPS
from nexus_shared.errors import Flaw, InputInvalid
from nexus_trigger_processor.domain.actions import (
    Action,
    ActionBase,
    OutsideChecks,
    SendWebhook,
    Strict,
    WebhookParameters,
)
from nexus_trigger_processor.domain.conditions import check_condition, pointer_part
from nexus_trigger_processor.domain.fields import fields_for

MAX_DEFINITION = 131_072
MAX_DEPTH = 40
MAX_FLAWS = 50
_EVENT_TYPE = r"(\*|[a-z0-9_*]+(\.[a-z0-9_*]+){1,5})"
_FITS = re.compile(_EVENT_TYPE)


class DefinitionInvalid(InputInvalid):
    """The trigger's definition is not valid; `flaws` say where and why."""

    slug = "definition-invalid"
    title = "The trigger's definition is not valid"


class Flow(Strict):
    """What holds a trigger back although its conditions are met."""

    max_event_age: Annotated[timedelta, Field(ge=timedelta(minutes=1), le=timedelta(days=365))] = Field(
        default=timedelta(hours=24), description="ISO 8601, such as PT24H: an older event fires nothing"
    )
    max_hops: Annotated[int, Field(ge=1, le=MAX_HOPS)] = Field(
        default=4, description="An event that is so many automations away from its first cause fires nothing"
    )


class TriggerDefinition(Strict):
    """When `event_type` happens and `conditions` are met, do `actions`.

    `event_type` may be a pattern: `*` stands for anything, dots included (`lead.*`). Without conditions every such
    event fires the trigger.
    """

    name: Annotated[str, Field(min_length=1, max_length=120)]
    description: Annotated[str, Field(max_length=2_000)] = ""
    event_type: Annotated[str, Field(pattern=f"^{_EVENT_TYPE}$", max_length=100)]
    conditions: dict[str, Any] | None = None
    actions: Annotated[list[Action], Field(min_length=1, max_length=20)]
    flow: Flow = Flow()

    def public(self) -> dict[str, Any]:
        """The definition as JSON, without secrets: what is stored as a version, shown, and compiled."""
        return self.model_dump(mode="json", exclude={"actions": {"__all__": {"parameters": {"secret"}}}})

    def secrets(self) -> dict[str, str]:
        """Secrets that were given, by action key: to be sealed and kept apart."""
        given = {action.key: action.parameters.secret for action in self.actions}
        return {key: secret.get_secret_value() for key, secret in given.items() if secret is not None}


def read_definition(document: object, checks: OutsideChecks) -> TriggerDefinition:
    """The definition in a JSON document. Raises DefinitionInvalid with all flaws."""
    flaws = check(document, checks)
    if flaws:
        raise DefinitionInvalid(f"The trigger's definition has {len(flaws)} flaw(s)", flaws=flaws)
    return TriggerDefinition.model_validate(document)


def check(document: object, checks: OutsideChecks) -> list[Flaw]:
    """All flaws of a definition, with pointers into the document; none means it can be published."""
    if not isinstance(document, dict):
        return [Flaw("", "Give an object with name, event_type and actions")]
    if _is_too_large(document) or _is_deeper_than(MAX_DEPTH, document):
        return [Flaw("", f"At most {MAX_DEFINITION} bytes and {MAX_DEPTH} levels", "too_large")]
    return [*_model_flaws(document), *_condition_flaws(document), *_action_flaws(document, checks)]


def hints(definition: TriggerDefinition) -> list[Flaw]:
    """What is possible, and perhaps not meant: event types that the catalogue does not know."""
    if catalogue.matching(definition.event_type):
        return []
    near = difflib.get_close_matches(definition.event_type, catalogue.all_types(), n=1)
    hint = f"; did you mean '{near[0]}'?" if near else ""
    return [
        Flaw("/event_type", f"The catalogue knows no event '{definition.event_type}'{hint}", "unknown_event")
    ]


def is_pattern(event_type: str) -> bool:
    """Whether this names several event types."""
    return "*" in event_type


def covers(pattern: str, event_type: str) -> bool:
    """Whether a pattern (or a plain name) names this event type."""
    return pattern == event_type or ("*" in pattern and _matcher(pattern).fullmatch(event_type) is not None)


@lru_cache(maxsize=4096)
def _matcher(pattern: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in re.sub(r"\*+", "*", pattern).split("*")))


def _is_too_large(document: dict[str, Any]) -> bool:
    try:
        return len(orjson.dumps(document)) > MAX_DEFINITION
    except orjson.JSONEncodeError:
        return True  # deeper than anybody writes, or no JSON


def _is_deeper_than(depth: int, value: object) -> bool:
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return depth < 0 or any(_is_deeper_than(depth - 1, child) for child in children)


def _condition_flaws(document: dict[str, Any]) -> list[Flaw]:
    tree, event_type = document.get("conditions"), document.get("event_type")
    if tree is None or not isinstance(event_type, str) or not _FITS.fullmatch(event_type):
        return []
    return check_condition(tree, fields_for(event_type), "/conditions")


def _action_flaws(document: dict[str, Any], checks: OutsideChecks) -> list[Flaw]:
    given, event_type = document.get("actions"), document.get("event_type")
    if not isinstance(given, list) or not isinstance(event_type, str) or not _FITS.fullmatch(event_type):
        return []
    flaws: list[Flaw] = []
    taken: set[str] = set()
    for i, each in enumerate(given[:20]):
        action = _read_action(each)
        if action is None:
            continue
        flaws += action.flaws(fields_for(event_type), f"/actions/{i}", checks)
        if action.key in taken:
            flaws.append(Flaw(f"/actions/{i}/key", f"'{action.key}' is taken by another action", "duplicate"))
        taken.add(action.key)
    return flaws


def _read_action(document: object) -> ActionBase | None:
    try:
        return Action.model_validate(document)
    except ValidationError:
        return None  # its flaws are the model's


def _model_flaws(document: dict[str, Any]) -> list[Flaw]:
    """What the model finds; the tree of conditions is checked with more to say elsewhere."""
    try:
        TriggerDefinition.model_validate(document)
    except ValidationError as invalid:
        errors = invalid.errors(include_url=False, include_context=False)[:MAX_FLAWS]
        return [_flaw(error) for error in errors if error["loc"][:1] != ("conditions",)]
    return []


_KNOWN_KEYS = sorted(
    {
        *TriggerDefinition.model_fields,
        *Flow.model_fields,
        *SendWebhook.model_fields,
        *WebhookParameters.model_fields,
    }
)
_EXPECTED = {
    "event_type": "an event type such as lead.created, or a pattern such as lead.*",
    "key": "1 to 40 lower-case letters, digits, _ or -, beginning with a letter",
    "kind": "a kind of action: send_webhook",
    "missing": '"fail" or "empty"',
    "max_event_age": "a duration from one minute to a year, such as PT24H",
    "max_hops": f"a whole number from 1 to {MAX_HOPS}",
    "max_attempts": "a whole number from 1 to 20",
    "actions": "a list of 1 to 20 actions",
    "name": "a name of 1 to 120 characters",
    "description": "a text of at most 2000 characters",
    "url": "an address of at most 2048 characters",
    "headers": 'an object of names and texts, such as {"X-Origin": "nexus"}',
    "secret": "'whsec_' and base64 of 24 to 64 random bytes",
}


def _flaw(error: ErrorDetails) -> Flaw:
    loc = error["loc"]
    pointer = "".join(f"/{pointer_part(part)}" for part in loc)
    name = str(loc[-1]) if loc else ""
    expected = _EXPECTED.get(name)
    if error["type"] == "missing":
        return Flaw(pointer, f"'{name}' is missing; give {expected or 'a value'}", "missing")
    if error["type"] == "extra_forbidden":
        near = difflib.get_close_matches(name[:80], _KNOWN_KEYS, n=1)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        return Flaw(pointer, f"Unknown key '{name[:80]}'{hint}", "unknown_key")
    return Flaw(pointer, f"Expected {expected}" if expected else error["msg"], "value")
