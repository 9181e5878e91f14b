"""Liquid, restricted: which tags and filters there are, how a path is looked up, and what filling in may cost.

There are no loops, no assignments, no includes and no clock, so the work of a template is bounded by its length.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import tzinfo
from inspect import Signature, signature
from typing import Any, Literal, TextIO, cast
from zoneinfo import ZoneInfo

from liquid import Environment, RenderContext, Undefined
from liquid.builtin.output import Output, OutputNode
from liquid.template import BoundTemplate
from liquid.token import Token

from nexus_shared.errors import NexusError
from nexus_trigger_processor.domain.templates import filters

MAX_OUTPUT = 65_536
MAX_VALUE = 16_384
MAX_WORK = 200_000
"""Characters that may go through filters while one template is filled in."""
DEFAULT_ZONE = "America/Sao_Paulo"

MissingPolicy = Literal["fail", "empty"]
"""What a missing or null value does: the action fails and says which, or it becomes "" (null where alone)."""

_TAGS = frozenset({"if", "unless", "case", "comment", "#", "content", "illegal"})
_MATH_FILTERS = frozenset({"round", "plus", "minus", "times", "divided_by", "abs"})
_PLAIN_FILTERS = (
    "append", "prepend", "capitalize", "upcase", "downcase", "strip", "squish", "truncate", "default", "join",
    "size", "first", "last", *sorted(_MATH_FILTERS),
)  # fmt: skip
_BR_FILTERS: Mapping[str, Callable[..., object]] = {
    "money_br": filters.money_br,
    "first_name": filters.first_name,
    "phone_br": filters.phone_br,
    "yes_no_br": filters.yes_no_br,
    "url_encode": filters.url_encode,
}
_ZONED_FILTERS: Mapping[str, Callable[..., object]] = {
    "date_br": filters.date_br,
    "time_br": filters.time_br,
    "weekday_br": filters.weekday_br,
}


class RenderFailed(NexusError):
    """A template could not be filled in with this event; the text says why, `pointer` which one of several."""

    status = 422
    slug = "template-not-rendered"
    title = "The template could not be filled in"

    def __init__(self, detail: str, *, pointer: str = "") -> None:
        super().__init__(detail)
        self.pointer = pointer


class MissingField(RenderFailed):
    """The template needs a value that the event does not have: `field`."""

    slug = "template-field-missing"

    def __init__(self, field: str) -> None:
        super().__init__(
            f"The event has no '{field}', and the template needs it. Give a fallback, "
            f'{{{{ {field} | default: "…" }}}}, or let missing values be empty.'
        )
        self.field = field


class Missing(Undefined):
    """A value that is not there, or null: false in conditions, refused or empty where it would be written."""

    __slots__ = ()
    force_liquid_default = True


class Context(RenderContext):
    """Looks up plain paths in nested objects, nothing else: no attributes, no `size`/`first` magic, no `now`."""

    __slots__ = ("policy", "values", "work", "zone")

    def __init__(
        self, template: BoundTemplate, values: Mapping[str, Any], policy: MissingPolicy, zone: tzinfo
    ) -> None:
        super().__init__(template)
        self.values = values
        self.policy = policy
        self.zone = zone
        self.work = 0

    def get(self, path: list[object], *, token: Token | None, default: object = None) -> object:
        value = look_up(self.values, path)
        return Missing(".".join(map(str, path)), token=token) if value is None else value

    def count(self, values: Iterable[object]) -> None:
        """Counts what goes through a filter. RenderFailed where it is too much."""
        for value in values:
            size = len(value) if isinstance(value, (str, list)) else 1
            self.work += size
            if size > MAX_VALUE or self.work > MAX_WORK:
                raise RenderFailed(
                    f"More than {MAX_VALUE} characters in a value, or {MAX_WORK} through filters"
                )

    def present(self, value: object) -> object:
        """The value, or what the policy makes of a missing one."""
        if not isinstance(value, Undefined):
            return value
        if self.policy == "fail":
            raise MissingField(value.name)
        return ""


def look_up(values: Mapping[str, Any], path: Iterable[object]) -> Any:
    """The value at a path of names; None where it is missing, null, or below something that is no object."""
    value: Any = values
    for name in path:
        if not isinstance(value, Mapping):
            return None
        value = value.get(name)
    return value


def written(value: object) -> str:
    """A value as it stands in a text. ValueError for a list or an object, which has no such form."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple, dict)):
        raise ValueError(
            "a list or an object cannot be written into a text; name one of its fields, or use join"
        )
    return "" if value is None else str(value)


class _WrittenNode(OutputNode):
    __slots__ = ()

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        value = cast(Context, context).present(self.expression.evaluate(context))
        try:
            return buffer.write(written(value))
        except ValueError as reason:
            raise RenderFailed(f"{{{{ {self.expression} }}}}: {reason}") from None


class _Written(Output):
    node_class = _WrittenNode


def _bounded(name: str, apply: Callable[..., object]) -> Callable[..., object]:
    """The filter with missing values settled, its work counted, and its errors naming it (but no value)."""
    settles_missing = name == "default"
    ours = [option for option in ("zone", "environment") if option in signature(apply).parameters]

    def bounded(*values: object, context: Context, **options: object) -> object:
        if not settles_missing:
            values = tuple(context.present(value) for value in values)
        context.count(values)
        for option in ours:
            options[option] = context.zone if option == "zone" else context.env
        try:
            if name in _MATH_FILTERS and not all(_is_number(value) for value in values):
                raise ValueError("expected numbers")
            return apply(*values, **options)
        except (ValueError, ArithmeticError) as reason:
            raise RenderFailed(f"{name}: {reason}") from None

    bounded.with_context = True  # type: ignore[attr-defined]
    return bounded


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


class _Language(Environment):
    block_nesting_limit = 8
    output_stream_limit = MAX_OUTPUT


def _language() -> Environment:
    language = _Language()
    language.tags = {name: tag for name, tag in language.tags.items() if name in _TAGS}
    language.add_tag(_Written)
    language.filters = {name: _bounded(name, apply) for name, apply in _ALL_FILTERS.items()}
    return language


_ALL_FILTERS: Mapping[str, Callable[..., object]] = {
    **{name: Environment().filters[name] for name in _PLAIN_FILTERS},
    **_BR_FILTERS,
    **_ZONED_FILTERS,
}
LANGUAGE = _language()
SIGNATURES: Mapping[str, Signature] = {name: signature(apply) for name, apply in _ALL_FILTERS.items()}
"""What each filter takes: the value first, then its arguments; options by name (`zone` is ours, not the author's)."""


def zone_of(values: Mapping[str, Any]) -> ZoneInfo:
    """The tenant's time zone (`tenant.tz`); America/Sao_Paulo where none is set."""
    name = look_up(values, ("tenant", "tz")) or DEFAULT_ZONE
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError, TypeError):
        raise RenderFailed(
            f"tenant.tz: '{name}' is no time zone, expected one such as {DEFAULT_ZONE}"
        ) from None
