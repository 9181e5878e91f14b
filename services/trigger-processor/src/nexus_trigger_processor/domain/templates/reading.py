"""Reading a template: its parts, what it names and uses, and what it may be made of.

A path consists of plain names; a template has at most 4,096 characters, 50 values and 50 filters.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from functools import lru_cache
from typing import Any

from liquid import RenderContext
from liquid.ast import Node
from liquid.builtin.expressions import FilteredExpression, Path
from liquid.builtin.expressions.arguments import KeywordArgument
from liquid.builtin.expressions.filtered import Filter
from liquid.builtin.expressions.primitive import RangeLiteral
from liquid.builtin.output import OutputNode
from liquid.exceptions import LiquidError
from liquid.expression import Expression
from liquid.output import LimitedStringIO
from liquid.template import BoundTemplate

from nexus_trigger_processor.domain.templates.language import (
    LANGUAGE,
    MAX_OUTPUT,
    Context,
    MissingPolicy,
    RenderFailed,
)

MAX_SOURCE = 4_096
MAX_LOOKUPS = 50
MAX_FILTERS = 50
MAX_PARTS = 200
MAX_EXPRESSION = 500

_OPENING = re.compile(r"\{[{%]")
_WIDE_SPACE = re.compile(r"\s{17}")


class TemplateUnreadable(ValueError):
    """The text is no template of ours. `index`: where in it, None when that is not known."""

    def __init__(self, message: str, index: int | None = None) -> None:
        super().__init__(message)
        self.index = index


@dataclass(frozen=True, slots=True)
class Lookup:
    """A path that a template names: dotted, and where.

    `filter` is the first filter it goes through; `is_written`: it goes into the text as it is.
    """

    path: str
    index: int
    filter: str = ""
    is_written: bool = False


@dataclass(frozen=True, slots=True)
class FilterUse:
    """A filter that a template uses. `literals` are its arguments, None where one is a value of the event."""

    name: str
    index: int
    literals: tuple[object, ...]
    options: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Parsed:
    """A template, read. `native` is its expression where it is nothing but one value, perhaps with a default."""

    template: BoundTemplate
    lookups: tuple[Lookup, ...]
    filters: tuple[FilterUse, ...]
    native: Expression | None

    def render(self, values: Mapping[str, Any], policy: MissingPolicy, zone: tzinfo) -> Any:
        """Text of at most 64 KiB, or the native value. Raises RenderFailed."""
        context = Context(self.template, values, policy, zone)
        try:
            if self.native is not None:
                value = self.native.evaluate(context)
                return value if context.present(value) is value else None
            buffer = LimitedStringIO(limit=MAX_OUTPUT)
            for node in self.template.nodes:
                node.render(context, buffer)
            return buffer.getvalue()
        except LiquidError as error:
            raise RenderFailed(str(error.message)) from None


@lru_cache(maxsize=2048)
def parse(source: str) -> Parsed:
    """Reads a template; the last 2,048 are kept. Raises TemplateUnreadable."""
    if len(source) > MAX_SOURCE:
        raise TemplateUnreadable(f"At most {MAX_SOURCE} characters, got {len(source)}")
    _refuse_unclosed(source)
    try:
        return _parsed(LANGUAGE.from_string(source), source)
    except LiquidError as error:
        index = error.token.start_index if error.token is not None and error.token.start_index >= 0 else None
        raise TemplateUnreadable(_in_our_words(str(error.message)), index) from None
    except RecursionError:
        raise TemplateUnreadable("The template is nested too deep") from None


def _refuse_unclosed(source: str) -> None:
    """Every opening bracket is closed soon, without long white space: the lexer would try for seconds otherwise."""
    end = 0
    while (opening := _OPENING.search(source, end)) is not None:
        closing = "}}" if opening.group() == "{{" else "%}"
        end = source.find(closing, opening.end())
        if end < 0 or _OPENING.search(source, opening.end(), end):
            raise TemplateUnreadable(f"expected '{closing}'", opening.start())
        if end - opening.end() > MAX_EXPRESSION or _WIDE_SPACE.search(source, opening.end(), end):
            raise TemplateUnreadable(
                f"At most {MAX_EXPRESSION} characters between brackets, and no wide gaps", opening.start()
            )
        end += 2


def _parsed(template: BoundTemplate, source: str) -> Parsed:
    expressions = [each for node in template.nodes for each in _expressions_of(node, template)]
    parts = [(outer, inner) for outer in expressions for inner in _within(outer)]
    _refuse_more_than(MAX_PARTS, parts, "values and comparisons")
    lookups = tuple(_lookups(parts, source))
    _refuse_more_than(MAX_LOOKUPS, lookups, "values")
    uses = tuple(_use(each) for each in _filters_in(expressions))
    _refuse_more_than(MAX_FILTERS, uses, "filters")
    return Parsed(template, lookups, uses, _native(template))


def _refuse_more_than(limit: int, found: Sequence[object], what: str) -> None:
    if len(found) > limit:
        raise TemplateUnreadable(f"At most {limit} {what}, got {len(found)}")


def _in_our_words(message: str) -> str:
    message = message.partition("\n")[0]
    if message == "unexpected liquid parsing error":
        return "The template is nested too deep"
    if message.startswith("unexpected tag"):
        return f"{message}; there are if, unless, case and comment, and no loops or assignments"
    return message


def _expressions_of(node: Node, template: BoundTemplate) -> Iterator[Expression]:
    yield from node.expressions()
    for child in node.children(RenderContext(template)):
        yield from _expressions_of(child, template)


def _within(expression: Expression) -> Iterator[Expression]:
    yield expression
    for child in expression.children():
        yield from _within(child)


def _lookups(parts: Iterable[tuple[Expression, Expression]], source: str) -> Iterator[Lookup]:
    for outer, inner in parts:
        if isinstance(inner, RangeLiteral):
            raise TemplateUnreadable("There are no ranges", inner.token.start_index)
        if isinstance(inner, Path):
            is_head = isinstance(outer, FilteredExpression) and inner is outer.left
            first = _first_filter(outer) if is_head else ""
            yield Lookup(_plain(inner, source), inner.token.start_index, first, is_head and not first)


def _first_filter(expression: Expression) -> str:
    if isinstance(expression, FilteredExpression) and expression.filters:
        return expression.filters[0].name
    return ""


def _plain(path: Path, source: str) -> str:
    """The path as written, if it is written plainly: names and dots, no brackets, no quotes, no other paths."""
    dotted = ".".join(str(segment) for segment in path.path)
    start = path.token.start_index
    if not all(isinstance(segment, str) for segment in path.path) or not source.startswith(dotted, start):
        raise TemplateUnreadable("Write a path as plain names, such as data.utm.source", start)
    return dotted


def _filters_in(expressions: Iterable[Expression]) -> Iterator[Filter]:
    for expression in expressions:
        if isinstance(expression, FilteredExpression):
            yield from expression.filters or ()


def _use(used: Filter) -> FilterUse:
    literals = tuple(
        getattr(each.value, "value", None) for each in used.args if not isinstance(each, KeywordArgument)
    )
    options = tuple(each.name for each in used.args if isinstance(each, KeywordArgument))
    return FilterUse(used.name, used.token.start_index, literals, options)


def _native(template: BoundTemplate) -> Expression | None:
    if len(template.nodes) != 1 or not isinstance(template.nodes[0], OutputNode):
        return None
    expression = template.nodes[0].expression
    if not isinstance(expression, FilteredExpression) or not isinstance(expression.left, Path):
        return None
    return expression if all(each.name == "default" for each in expression.filters or ()) else None
