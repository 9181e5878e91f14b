"""CloudEvents on the wire: structured, batch and binary content, from AMQP or HTTP, to inspected envelopes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic_core import ErrorDetails, ValidationError

from nexus_shared import strict_json
from nexus_shared.envelope import BATCH, STRUCTURED, Event
from nexus_shared.errors import Flaw, InputInvalid
from nexus_shared.strict_json import Inspected

MAX_EVENT_BYTES = 256 * 1024
MAX_BATCH_BYTES = 4 * 2**20
MAX_BATCH_EVENTS = 500
_BINARY_PREFIXES = ("ce-", "cloudevents:", "cloudevents_")
_ATTRIBUTE_NAME = re.compile(r"[a-z0-9_-]{1,40}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

_EXPECTED = {
    "specversion": 'Expected "1.0"',
    "id": "Expected 1 to 200 printable characters, unique per source",
    "source": "Expected 1 to 200 printable characters that name the publishing system",
    "type": "Expected a dotted name such as 'lead.created': lower-case letters, digits and _, at most 100 characters",
    "tenantid": "Expected the tenant's slug or UUID: lower-case letters, digits and hyphens, at most 63 characters",
    "subject": "Expected what the fact is about, such as 'lead/L-17': at most 200 printable characters",
    "time": "Expected a date and time with offset, such as 2026-11-23T09:00:00-03:00",
    "data": "Expected a JSON object with the business data",
    "hops": "Expected an integer from 0 to 32",
    "schemaversion": "Expected an integer from 1",
    "traceparent": "Expected a W3C traceparent",
    "datacontenttype": "Expected 'application/json', or leave it out",
}


class ContentTypeWrong(InputInvalid):
    """The content type is none that carries CloudEvents."""

    status = 415
    slug = "content-type"
    title = "The content type carries no CloudEvents"


class TooLarge(InputInvalid):
    """More bytes, or more events, than one message may have."""

    status = 413
    slug = "too-large"
    title = "The content is too large"


def read(content: bytes, content_type: str, headers: Mapping[str, Any]) -> tuple[list[Inspected], bool]:
    """The envelopes in a message, inspected one by one, and whether it is a batch.

    Raises NotJson, ContentTypeWrong or TooLarge when nothing of the message can be used.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind == BATCH:
        return _read_batch(content)
    if len(content) > MAX_EVENT_BYTES:
        raise too_large(len(content))
    if kind == STRUCTURED:
        return [_read_single(content)], False
    attributes = _binary_attributes(headers)
    if "specversion" in attributes:
        return [_binary(content, kind, attributes)], False
    raise ContentTypeWrong(
        f"Got '{kind[:80]}'; send {STRUCTURED}, {BATCH}, or binary mode with cloudEvents headers and application/json"
    )


def too_large(size: int) -> TooLarge:
    return TooLarge(f"The event has {size} bytes; at most {MAX_EVENT_BYTES} are taken: send less, or a link")


def _read_single(content: bytes) -> Inspected:
    items, is_array = strict_json.load(content)
    if is_array:
        expected = f"Expected one JSON object; send several events as {BATCH}"
        raise InputInvalid("An array is not one event", flaws=[Flaw("", expected, "not_object")])
    return items[0]


def _read_batch(content: bytes) -> tuple[list[Inspected], bool]:
    if len(content) > MAX_BATCH_BYTES:
        raise TooLarge(f"The batch has {len(content)} bytes; at most {MAX_BATCH_BYTES}: send smaller batches")
    items, is_array = strict_json.load(content)
    if not is_array:
        raise InputInvalid(
            "A batch is a JSON array of events", flaws=[Flaw("", "Expected a JSON array", "not_array")]
        )
    if len(items) > MAX_BATCH_EVENTS:
        raise TooLarge(f"The batch has {len(items)} events; at most {MAX_BATCH_EVENTS}: send smaller batches")
    if len(content) > MAX_EVENT_BYTES:
        items = [_sized(item) for item in items]
    return items, True


def _sized(item: Inspected) -> Inspected:
    if item.flaw is None and len(strict_json.dumps(item.value)) > MAX_EVENT_BYTES:
        return item._replace(
            flaw=Flaw("", f"Larger than {MAX_EVENT_BYTES} bytes; send less, or a link", "too_large")
        )
    return item


def _binary_attributes(headers: Mapping[str, Any]) -> dict[str, Any]:
    attributes = {}
    for name, value in headers.items():
        lowered = name.lower()
        for prefix in _BINARY_PREFIXES:
            if lowered.startswith(prefix):
                attributes[lowered[len(prefix) :]] = value
    return attributes


def _binary(content: bytes, kind: str, attributes: dict[str, Any]) -> Inspected:
    if kind not in ("application/json", ""):
        raise ContentTypeWrong(f"Got '{kind[:80]}' in binary mode; send application/json")
    items, is_array = strict_json.load(content) if content else ([Inspected({}, 0, None)], False)
    data = items[0] if not is_array else Inspected([], 0, None)
    flaw = data.flaw and Flaw(f"/data{data.flaw.pointer}", data.flaw.message, data.flaw.code)
    for name, value in attributes.items():
        attributes[name] = _attribute(value)
        if attributes[name] is None or not _ATTRIBUTE_NAME.fullmatch(name):
            place = f"/{name[:100]}" if name.isprintable() else ""
            flaw = Flaw(
                place, "Expected headers with short names and text without control characters", "header"
            )
    for name in ("hops", "schemaversion"):  # header values are text
        if isinstance(attributes.get(name), str) and attributes[name].isdecimal():
            attributes[name] = int(attributes[name][:10])
    return Inspected({**attributes, "data": data.value}, data.keys, flaw)


def _attribute(value: Any) -> Any:
    """A header's value as an attribute; None where it is no text, number, truth value or time."""
    if isinstance(value, bytes | bytearray):
        try:
            value = value.decode()
        except UnicodeDecodeError:
            return None
    if isinstance(value, str):
        return None if _CONTROL.search(value) else value
    if isinstance(value, int):
        return value if abs(value) <= strict_json.MAX_NUMBER else None
    return value if isinstance(value, datetime) else None


def envelope(value: Any) -> Event:
    """The event in a parsed envelope. Raises InputInvalid with a flaw per attribute that does not fit."""
    if not isinstance(value, dict):
        raise InputInvalid(
            "Not an event", flaws=[Flaw("", "Expected a JSON object: one CloudEvent", "not_object")]
        )
    try:
        event = Event.model_validate(value)
    except ValidationError as error:
        flaws = [_envelope_flaw(detail) for detail in error.errors(include_url=False, include_input=False)]
        raise InputInvalid("The envelope is not valid", flaws=flaws) from None
    if not _is_iso(value.get("time")):  # a number would be read as seconds since 1970
        raise InputInvalid("The envelope is not valid", flaws=[Flaw("/time", _EXPECTED["time"])])
    if event.datacontenttype not in (None, "application/json"):
        raise InputInvalid(
            "The envelope is not valid",
            flaws=[Flaw("/datacontenttype", _EXPECTED["datacontenttype"], "content_type")],
        )
    return event


def _is_iso(time: object) -> bool:
    return time is None or isinstance(time, datetime) or (isinstance(time, str) and time[4:5] == "-")


def _envelope_flaw(detail: ErrorDetails) -> Flaw:
    name = str(detail["loc"][0]) if detail["loc"] else ""
    expected = _EXPECTED.get(name, detail["msg"])
    missing = detail["type"] == "missing"
    return Flaw(
        f"/{name}", f"{expected}; it is missing" if missing else expected, "missing" if missing else "invalid"
    )


def batch_body(events: Sequence[bytes]) -> bytes:
    """A batch from events that are JSON already."""
    return b"[" + b",".join(events) + b"]"
