import json
import random
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexus_shared.strict_json import MAX_NUMBER, NotJson, dumps, inspect, load

quick = settings(max_examples=100, deadline=None, derandomize=True)


class Object(NamedTuple):
    """A JSON object as written: unlike a dict it can say a key twice."""

    pairs: list[tuple[str, Any]]


class Keyed(NamedTuple):
    """An object somewhere in a document, and the pair in it that is to stand twice."""

    document: Any
    target: Object


# Texts made of what a careless counter of keys, quotes and escapes would trip over.
TRICKY = st.text(alphabet=st.sampled_from('":\\u0,{}[] aé😀\n'), max_size=12)
TEXTS = TRICKY | st.text(
    alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=8
)
NUMBERS = st.integers(-MAX_NUMBER, MAX_NUMBER) | st.floats(
    -MAX_NUMBER, MAX_NUMBER, allow_nan=False, allow_infinity=False
)
SCALARS = st.none() | st.booleans() | NUMBERS | TEXTS


def _containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    pairs = st.lists(st.tuples(TEXTS, inner), max_size=4, unique_by=lambda pair: pair[0])
    return st.lists(inner, max_size=4) | pairs.map(Object)


DOCUMENTS = st.recursive(SCALARS, _containers, max_leaves=12)
WITH_OBJECTS = st.builds(
    lambda key, value, inner: [Object([(key, value), ("beside", inner)]), inner], TEXTS, SCALARS, DOCUMENTS
)


def spelled(node: Any, chance: random.Random) -> str:
    """The document as JSON text, in one of the many ways JSON allows."""
    gap = chance.choice(["", "", "", " ", "\n\t", "  "])
    if isinstance(node, Object):
        pairs = [f"{_text(key, chance)}{gap}:{gap}{spelled(value, chance)}" for key, value in node.pairs]
        return "{" + gap + f"{gap},{gap}".join(pairs) + gap + "}"
    if isinstance(node, list):
        return "[" + gap + f",{gap}".join(spelled(item, chance) for item in node) + gap + "]"
    return _text(node, chance) if isinstance(node, str) else json.dumps(node)


def _text(text: str, chance: random.Random) -> str:
    """The same text with some characters escaped that need not be."""
    escaped = (
        f"\\u{ord(character):04x}" if ord(character) < 0x10000 and chance.random() < 0.2 else character
        for character in text
    )
    whole = "".join(
        part if len(part) > 1 else json.dumps(part, ensure_ascii=chance.random() < 0.3)[1:-1]
        for part in escaped
    )
    return f'"{whole}"'


def plain(node: Any) -> Any:
    if isinstance(node, Object):
        return {key: plain(value) for key, value in node.pairs}
    return [plain(item) for item in node] if isinstance(node, list) else node


def objects_in(node: Any) -> list[Object]:
    inner = node.pairs if isinstance(node, Object) else enumerate(node) if isinstance(node, list) else ()
    found = [each for _, value in inner for each in objects_in(value)]
    return [node, *found] if isinstance(node, Object) and node.pairs else found


@quick
@given(DOCUMENTS, st.randoms(use_true_random=False))
def test_any_document_is_read_as_the_standard_module_reads_it_and_is_not_flagged(
    node: Any, chance: random.Random
) -> None:
    text = spelled(node, chance)
    items, is_array = load(text.encode())
    values = [item.value for item in items]
    assert json.loads(text) == plain(node)
    assert (values if is_array else values[0]) == plain(node)
    assert [item.flaw for item in items] == [None] * len(items)


@quick
@given(WITH_OBJECTS, DOCUMENTS, st.randoms(use_true_random=False))
def test_a_key_that_stands_twice_anywhere_is_found_however_it_is_spelled(
    node: Any, second: Any, chance: random.Random
) -> None:
    target = chance.choice(objects_in(node))
    key = chance.choice(target.pairs)[0]
    target.pairs.insert(chance.randrange(len(target.pairs) + 1), (key, second))
    items, _ = load(spelled(node, chance).encode())
    target.pairs.remove((key, second))
    assert "duplicate_key" in {item.flaw.code for item in items if item.flaw}


@quick
@given(st.lists(DOCUMENTS, min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_a_key_twice_spoils_only_the_item_it_stands_in(nodes: list[Any], chance: random.Random) -> None:
    bad = Object([("id", 1), ("id", 1)])
    at = chance.randrange(len(nodes) + 1)
    items, _ = load(spelled([*nodes[:at], bad, *nodes[at:]], chance).encode())
    assert [item.flaw.code if item.flaw else None for item in items] == [
        "duplicate_key" if index == at else None for index in range(len(nodes) + 1)
    ]
    assert [item.value for index, item in enumerate(items) if index != at] == plain(nodes)


@quick
@given(DOCUMENTS, st.randoms(use_true_random=False))
def test_bytes_broken_anywhere_are_named_as_no_json_or_read_as_the_standard_module_reads_them(
    node: Any, chance: random.Random
) -> None:
    content = bytearray(spelled(node, chance).encode())
    for _ in range(chance.randrange(1, 4)):
        at = chance.randrange(len(content)) if content else 0
        content[at : at + chance.randrange(2)] = chance.randbytes(chance.randrange(3))
    try:
        expected = json.loads(bytes(content).decode("utf-8"))
    except ValueError:
        with pytest.raises(NotJson):
            load(bytes(content))
        return
    items, is_array = load(bytes(content))
    if all(item.flaw is None for item in items):
        assert ([item.value for item in items] if is_array else items[0].value) == expected


@pytest.mark.parametrize("depth", [32, 33, 255, 400, 700, 950, 1_000, 1_024, 2_000, 20_000])
@pytest.mark.parametrize("inner", ["1", "NaN", '{"x":1,"x":2}', '"\\u0000"'])
@pytest.mark.parametrize(("begin", "end"), [("[", "]"), ('{"a":', "}"), ('[{"a":', "}]")])
def test_depth_spoils_one_item_and_hides_nothing_in_its_neighbours(
    depth: int, inner: str, begin: str, end: str
) -> None:
    deep = begin * depth + inner + end * depth
    items, _ = load(f'[{{"a":1,"a":2}},{deep},{{"b":"\\u0000"}},{{"c":"good"}}]'.encode())
    codes = [item.flaw.code if item.flaw else None for item in items]
    if depth > 32:
        assert codes == ["duplicate_key", "too_deep", "nul", None]
    assert (codes[0], codes[2:]) == ("duplicate_key", ["nul", None])
    assert items[3].value == {"c": "good"}


def test_thirty_two_levels_are_enough_for_anybody() -> None:
    at_the_limit, beyond = b'{"a":' * 32 + b"1" + b"}" * 32, b'{"a":' * 33 + b"1" + b"}" * 33
    assert load(at_the_limit)[0][0].flaw is None
    assert load(beyond)[0][0].flaw.code == "too_deep"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "content",
    [
        *(
            b"",
            b" ",
            b"{",
            b"}",
            b"[1",
            b"[1,]",
            b'{"a":1,}',
            b"{'a':1}",
            b"hello",
            b'{"a" 1}',
            b"[1]x",
            b"[1 2]",
        ),
        *(
            b'{"a":1}{"b":2}',
            b"\xef\xbb\xbf{}",
            b'"\xff"',
            b'{"a":"\xc3\x28"}',
            b"\x00",
            b'"\x00"',
            b'"a\nb"',
        ),
        *(
            b"01",
            b"+1",
            b".5",
            b"1.",
            b"0x1",
            b"tru",
            b'"\\x41"',
            b'"\\u12"',
            b'"open',
            b"[" * 5_000,
            b'["' * 2_000,
        ),
    ],
)
def test_what_is_no_json_is_refused_as_a_whole_with_its_place(content: bytes) -> None:
    with pytest.raises(NotJson, match=r"(Line \d+, column \d+: .+|Byte \d+ is not valid UTF-8)"):
        load(content)


@pytest.mark.parametrize(
    ("text", "code", "pointer"),
    [
        ('{"data":{"x":NaN}}', "not_a_number", "/data/x"),
        ('{"data":{"x":-Infinity}}', "not_a_number", "/data/x"),
        ('{"data":[1,[Infinity]]}', "not_a_number", "/data/1/0"),
        ('{"data":{"a/b~c":1e400}}', "number_too_large", "/data/a~1b~0c"),
        ('{"x":9007199254740993}', "number_too_large", "/x"),
        ('{"x":-9007199254740993}', "number_too_large", "/x"),
        ('{"x":1e16}', "number_too_large", "/x"),
        ('{"x":' + "9" * 5_000 + "}", "number_too_large", "/x"),
        ('{"x":18446744073709551616}', "number_too_large", "/x"),
        (r'{"x":"\ud800"}', "surrogate", "/x"),
        (r'{"x":"\udc00\ud800"}', "surrogate", "/x"),
        (r'{"x":["a","b\u0000c"]}', "nul", "/x/1"),
        (r'{"x":{"\u0000":1}}', "bad_text", "/x"),
        (r'{"x":{"\ud800":1}}', "bad_text", "/x"),
        (r'{"x":{"a":1,"\u0061":2}}', "duplicate_key", "/x"),
        ('{"x":{"a" : 1, "a"\n:2}}', "duplicate_key", "/x"),
        ('{"x":"\\":\\":","x":2}', "duplicate_key", ""),
    ],
)
def test_what_cannot_be_stored_is_named_with_its_place(text: str, code: str, pointer: str) -> None:
    flaw = load(text.encode())[0][0].flaw
    assert flaw is not None
    assert (flaw.code, flaw.pointer) == (code, pointer)
    assert len(flaw.message) > 20


@pytest.mark.parametrize(
    "text",
    [
        '{"x":"\\":","y":"a\\":b\\":"}',
        '{"x" : 1, "y" : 2}',
        r'{"x":"\\u0000","y":"\\\\u0000"}',
        r'{"x":"😀"}',
        '{"x":9007199254740992,"y":-9007199254740992,"z":0.1}',
        '{"a":{"id":1},"b":{"id":1},"c":[{"id":1},{"id":1}]}',
        '{"":{"":{"":1}}}',
        "[]",
        "{}",
        "[[],{}]",
    ],
)
def test_what_only_looks_suspicious_passes(text: str) -> None:
    items, is_array = load(text.encode())
    assert [item.flaw for item in items] == [None] * len(items)
    assert ([item.value for item in items] if is_array else items[0].value) == json.loads(text)


def test_two_thousand_keys_pass_and_one_more_does_not() -> None:
    assert inspect({str(n): n for n in range(2_000)}).flaw is None
    assert inspect({"a": {str(n): n for n in range(1_999)}, "b": {}}).flaw.code == "too_many_keys"  # type: ignore[union-attr]


def test_a_flawed_item_keeps_its_own_text() -> None:
    items, _ = load(b'[ {"id":"a","x":NaN} , {"id": "b", "id": "b"},{"id":"c"}]')
    assert [item.raw for item in items] == [
        b'{"id":"a","x":NaN}',
        b'{"id": "b", "id": "b"}',
        b'{"id":"c"}',
    ]


def test_the_same_content_gives_the_same_bytes_whatever_the_order() -> None:
    assert dumps({"b": [1, {"d": 1, "c": "ã"}], "a": None}) == dumps(
        {"a": None, "b": [1, {"c": "ã", "d": 1}]}
    )
    assert dumps({"b": 1, "a": 2}) == b'{"a":2,"b":1}'
