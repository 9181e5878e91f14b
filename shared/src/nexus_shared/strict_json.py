"""JSON at the door: what everybody downstream can store, compare and read in any language.

orjson parses; what it lets pass (duplicate keys, huge numbers, NUL) is looked for cheaply, and only a suspicious
document is read a second time, slowly, to say exactly what is wrong and where.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, NamedTuple

import orjson

from nexus_shared.errors import Flaw, InputInvalid

MAX_DEPTH = 32
MAX_KEYS = 2_000
MAX_NUMBER = 2**53
_SPACE_BEFORE_COLON = re.compile(rb'"[ \t\r\n]+:')
_SPACE = re.compile(r"[ \t\r\n]*")
_BRACKET = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[\]{}]', re.DOTALL)


class NotJson(InputInvalid):
    """The bytes are no JSON document at all."""

    slug = "not-json"
    title = "The content is not valid JSON"


class _Bad:
    """Stands in a slowly read document where a value cannot be used."""

    __slots__ = ("code", "message")

    def __init__(self, code: str, message: str) -> None:
        self.code, self.message = code, message


class Inspected(NamedTuple):
    """A value, how many keys it has (-1: too deep to tell), and the first thing in it that cannot be stored.

    `raw` is its own text where the document was read slowly: a flawed value cannot always be written again.
    """

    value: Any
    keys: int
    flaw: Flaw | None
    raw: bytes | None = None


def load(content: bytes) -> tuple[list[Inspected], bool]:
    """The document's items, inspected, and whether it is an array (else it is one item).

    Raises NotJson when the bytes are no JSON document at all; anything less spoils only the item it stands in.
    """
    try:
        document = orjson.loads(content)
    except orjson.JSONDecodeError:
        return _load_slowly(content)
    is_array = isinstance(document, list)
    items = [inspect(item) for item in (document if is_array else [document])]
    keys = [item.keys for item in items]
    # What is too deep has uncounted keys, so its neighbours must be looked at one by one.
    if (is_array and -1 in keys) or b"\\u0000" in content or _may_repeat_keys(content, sum(keys)):
        return _load_slowly(content)
    return items, is_array


def inspect(value: Any) -> Inspected:
    """Depth, keys and numbers in one pass over the containers; never deeper than MAX_DEPTH."""
    keys = 0
    is_bad = isinstance(value, _Bad)
    level = [value]
    for _ in range(MAX_DEPTH):
        deeper: list[Any] = []
        for container in level:
            if type(container) is dict:
                keys += len(container)
                container = container.values()
            elif type(container) is not list:
                continue
            for item in container:
                kind = type(item)
                if kind is str:
                    continue
                if kind is dict or kind is list:
                    deeper.append(item)
                elif kind is int or kind is float:
                    is_bad = is_bad or not -MAX_NUMBER <= item <= MAX_NUMBER
                elif kind is _Bad:
                    is_bad = True
        if not deeper:
            break
        level = deeper
    else:
        return Inspected(
            value, -1, Flaw("", f"Nested deeper than {MAX_DEPTH} levels; flatten the data", "too_deep")
        )
    if keys > MAX_KEYS:
        return Inspected(
            value, keys, Flaw("", f"Expected at most {MAX_KEYS} keys; send less data", "too_many_keys")
        )
    return Inspected(value, keys, _locate(value) if is_bad else None)


def _may_repeat_keys(content: bytes, keys: int) -> bool:
    """False only when it is certain that no key stands twice.

    Every key is followed by `":`, so `":` stands at least as often as there are keys in the text. If it stands exactly
    as often as there are keys in the parsed document, none was dropped. A space before a colon spoils the count.
    """
    return content.count(b'":') != keys or _SPACE_BEFORE_COLON.search(content) is not None


def _load_slowly(content: bytes) -> tuple[list[Inspected], bool]:
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NotJson(f"Byte {error.start} is not valid UTF-8; encode the content as UTF-8") from None
    try:
        start = _after_space(text, 0)
        is_array = text[start : start + 1] == "["
        items, end = _read_array(text, start) if is_array else _read_one(text, start)
        if _after_space(text, end) != len(text):
            raise json.JSONDecodeError("More follows after the end", text, _after_space(text, end))
    except json.JSONDecodeError as error:
        raise NotJson(f"Line {error.lineno}, column {error.colno}: {error.msg}") from None
    return items, is_array


def _read_array(text: str, start: int) -> tuple[list[Inspected], int]:
    """Item by item, so that what one of them is cannot spoil the others; and the index after the array."""
    items: list[Inspected] = []
    at = _after_space(text, start + 1)
    if text[at : at + 1] == "]":
        return items, at + 1
    while True:
        item, at = _read_one(text, at)
        items += item
        at = _after_space(text, at)
        if text[at : at + 1] == "]":
            return items, at + 1
        if text[at : at + 1] != ",":
            raise json.JSONDecodeError("Expected ',' or ']'", text, at)
        at = _after_space(text, at + 1)


def _read_one(text: str, start: int) -> tuple[list[Inspected], int]:
    """The value that begins at `start`, and the index after it."""
    try:
        value, end = _DECODER.raw_decode(text, start)
        inspected = inspect(_checked(value))
    except RecursionError:
        end = _end_of(text, start)
        inspected = inspect(_Bad("too_deep", f"Nested deeper than {MAX_DEPTH} levels; flatten the data"))
    return [inspected._replace(raw=text[start:end].encode())], end


def _after_space(text: str, at: int) -> int:
    return _SPACE.match(text, at).end()  # type: ignore[union-attr]  # it matches nothing, too


def _end_of(text: str, start: int) -> int:
    """The index after the object or array that begins at `start`, by counting brackets outside of texts."""
    depth = 0
    for match in _BRACKET.finditer(text, start):
        if match[0] in ("[", "{"):
            depth += 1
        elif match[0] in ("]", "}"):
            depth -= 1
            if depth == 0:
                return match.end()
    raise json.JSONDecodeError("Unexpected end", text, len(text))


def _object(pairs: list[tuple[str, Any]]) -> Any:
    result = {key: _checked(value) for key, value in pairs}
    if len(result) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        return _Bad("duplicate_key", f"The key {twice[:50]!r} stands twice in one object; send it once")
    for key in result:
        if isinstance(_checked(key), _Bad):
            return _Bad(
                "bad_text", "A key has characters that cannot be stored (NUL or half a surrogate pair)"
            )
    return result


def _checked(value: Any) -> Any:
    if isinstance(value, list):
        return [_checked(item) for item in value]
    if not isinstance(value, str):
        return value
    if "\x00" in value:
        return _Bad("nul", "A text contains the NUL character, which cannot be stored; remove it")
    if any("\ud800" <= character <= "\udfff" for character in value):
        return _Bad("surrogate", "A text contains half a surrogate pair; send well-formed Unicode")
    return value


def _integer(digits: str) -> Any:
    if len(digits) > 17 or abs(int(digits)) > MAX_NUMBER:
        return _too_large()
    return int(digits)


def _float(digits: str) -> Any:
    number = float(digits)
    return number if math.isfinite(number) and abs(number) <= MAX_NUMBER else _too_large()


def _constant(name: str) -> Any:
    return _Bad("not_a_number", f"{name} is not JSON; leave the value out or send null")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_float, parse_constant=_constant
)


def _too_large() -> _Bad:
    return _Bad(
        "number_too_large",
        "A number is beyond ±2^53, which not every language reads exactly; send it as text",
    )


def _locate(value: Any, pointer: str = "") -> Flaw | None:
    """The first bad place with its JSON pointer."""
    if isinstance(value, _Bad):
        return Flaw(pointer, value.message, value.code)
    if type(value) in (int, float) and not -MAX_NUMBER <= value <= MAX_NUMBER:
        return Flaw(pointer, _too_large().message, "number_too_large")
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in pairs:
        if flaw := _locate(item, f"{pointer}/{str(key).replace('~', '~0').replace('/', '~1')}"):
            return flaw
    return None


def dumps(value: Any) -> bytes:
    """Canonical: keys sorted, no spaces. The same content gives the same bytes."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
