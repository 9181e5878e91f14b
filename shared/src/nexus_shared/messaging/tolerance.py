"""Properties that a publisher got wrong: they must reach us as a message to refuse, not end the connection.

pamqp raises while it decodes a text that is no UTF-8, a time beyond the calendar or a header of an unknown kind; aiormq
then closes the connection, and the broker delivers the same message again at once. One message of one publisher would
keep everybody's events from being read, for ever.
"""

from __future__ import annotations

import struct

from pamqp import commands, decode

UNREADABLE = "unreadable message properties"
"""The content type of a message whose properties could not be decoded; it has no others."""

_decode_properties = commands.Basic.Properties.unmarshal


def install() -> None:
    """Makes pamqp tolerant in this process; safe to repeat."""
    decode.METHODS["shortstr"] = _short_text
    commands.Basic.Properties.unmarshal = _properties  # type: ignore[method-assign, assignment]


def _short_text(value: bytes) -> tuple[int, str]:
    """Also a routing key: what is no UTF-8 is replaced, so that it fits nothing."""
    try:
        end = value[0] + 1
    except IndexError as error:
        raise ValueError("Could not unpack short string value") from error
    return end, value[1:end].decode("utf-8", "replace")


def _properties(self: commands.Basic.Properties, flags: int, data: bytes) -> None:
    try:
        _decode_properties(self, flags, data)
    except (ValueError, OverflowError, OSError, RecursionError, struct.error, IndexError):
        for name in self.__slots__:
            setattr(self, name, None)
        self.content_type = UNREADABLE
