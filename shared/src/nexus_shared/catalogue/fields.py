"""What a type's fields are, read from its model: for condition builders, flaws, the split and the generated pages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo as ModelField

from nexus_shared.catalogue.base import DataClass, Part
from nexus_shared.catalogue.values import Kind, Shape

_ANYTHING = Shape(Kind.OBJECT, "an object")


@dataclass(frozen=True, slots=True)
class FieldInfo:
    """One field: its dotted `path` ("data.utm.source"), kind and meaning.

    `expected` are the words for what it accepts. `values` are all there are when `is_closed`, otherwise the usual ones.
    `items` is the kind inside a list, `item_expected` the words for it.
    `has_previous`: the type's `data.previous` may hold this field's old value. `in_list`: the field belongs to the
    objects of a list, so a condition cannot address it.
    """

    path: str
    kind: Kind
    expected: str
    description: str
    data_class: DataClass
    is_required: bool = False
    values: tuple[str, ...] = ()
    is_closed: bool = False
    items: Kind | None = None
    item_expected: str = ""
    has_previous: bool = False
    in_list: bool = False

    @property
    def is_addressable(self) -> bool:
        return not self.in_list

    @property
    def name(self) -> str:
        return self.path.rpartition(".")[2]


ENVELOPE: Mapping[str, FieldInfo] = {
    field.path: field
    for field in (
        FieldInfo("type", Kind.TEXT, "text", "What happened, like lead.created", DataClass.OPEN, True),
        FieldInfo("source", Kind.TEXT, "text", "The system that published the fact", DataClass.OPEN, True),
        FieldInfo("subject", Kind.TEXT, "text", "What the fact is about, like lead/L-17", DataClass.OPEN),
        FieldInfo("time", Kind.DATETIME, "a date and time with offset", "When it happened", DataClass.OPEN),
    )
}
"""The fields of the envelope that a condition may use."""


@dataclass(frozen=True, slots=True)
class Declared:
    """One field as its model declares it, annotations taken apart.

    `part` is the model of a nested object or of a list's objects, `item` the shape of a list's items; `own` is the
    field's own data class.
    """

    name: str
    shape: Shape
    own: DataClass
    description: str
    is_required: bool
    values: tuple[str, ...]
    is_closed: bool
    part: type[Part] | None
    item: Shape | None

    @property
    def is_list(self) -> bool:
        return self.shape.kind is Kind.LIST


def declared(model: type[Part]) -> list[Declared]:
    """The fields of a model by their names on the wire, in the order they are written."""
    return [_declared(field.alias or name, field) for name, field in model.model_fields.items()]


def describe(model: type[Part]) -> dict[str, FieldInfo]:
    """All fields of a type by dotted path, those of nested objects and of lists' objects included."""
    has_previous = "previous" in model.model_fields
    return {info.path: info for info in _walk(model, "data", DataClass.OPEN, has_previous, in_list=False)}


def _walk(
    model: type[Part], prefix: str, outer: DataClass, has_previous: bool, *, in_list: bool
) -> Iterator[FieldInfo]:
    for field in declared(model):
        path = f"{prefix}.{field.name}"
        data_class = outer if outer.is_sealed else field.own
        yield FieldInfo(
            path=path,
            kind=field.shape.kind,
            expected=field.shape.expected,
            description=field.description,
            data_class=data_class,
            is_required=field.is_required,
            values=field.values,
            is_closed=field.is_closed,
            items=field.item.kind if field.item else None,
            item_expected=field.item.expected if field.item else "",
            has_previous=has_previous and field.name not in ("previous", "changed_fields"),
            in_list=in_list,
        )
        if field.part is not None:
            yield from _walk(field.part, path, data_class, has_previous, in_list=in_list or field.is_list)


def _declared(name: str, field: ModelField) -> Declared:
    extra = field.json_schema_extra
    if not isinstance(extra, dict):
        raise TypeError(
            f"Field '{name}' has no data class: make it with open_field, personal_field and so on"
        )
    inner, shape = _taken_apart(field.annotation, field.metadata)
    closed = tuple(str(value) for value in get_args(inner)) if get_origin(inner) is Literal else ()
    usual = extra.get("examples")
    item = get_args(inner)[0] if get_origin(inner) is list else None
    item_inner, item_shape = _taken_apart(item, []) if item is not None else (None, None)
    part = item_inner if item is not None else inner
    return Declared(
        name=name,
        shape=shape,
        own=DataClass(str(extra["x-data-class"])),
        description=field.description or "",
        is_required=field.is_required(),
        values=closed or tuple(str(value) for value in (usual if isinstance(usual, list) else ())),
        is_closed=bool(closed),
        part=part if isinstance(part, type) and issubclass(part, Part) else None,
        item=item_shape,
    )


def _taken_apart(annotation: Any, metadata: list[Any]) -> tuple[Any, Shape]:
    """`Annotated[str, …, Shape] | None` → (str, Shape). Of several alternatives the first one speaks."""
    inner = annotation
    found = list(metadata)
    while True:
        origin = get_origin(inner)
        if origin in (Union, UnionType):
            inner = next(arm for arm in get_args(inner) if arm is not NoneType)
        elif origin is Annotated:
            found += get_args(inner)[1:]
            inner = get_args(inner)[0]
        else:
            break
    shape = next((each for each in found if isinstance(each, Shape)), None)
    return inner, shape or _shape_of(inner)


def _shape_of(inner: Any) -> Shape:
    origin = get_origin(inner)
    if origin is Literal:
        return Shape(Kind.ENUM, "one of " + ", ".join(str(value) for value in get_args(inner)))
    if origin is list:
        item = _taken_apart(get_args(inner)[0], [])[1]
        return Shape(Kind.LIST, "a list; each item " + item.expected)
    if isinstance(inner, type) and issubclass(inner, Part):
        names = ", ".join(field.alias or name for name, field in inner.model_fields.items())
        return Shape(Kind.OBJECT, "an object with " + names)
    return _ANYTHING
