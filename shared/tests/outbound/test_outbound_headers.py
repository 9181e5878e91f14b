import pytest

from nexus_shared.outbound.headers import header_flaws


@pytest.mark.parametrize(
    "name",
    [
        "Host",
        "Content-Length",
        "content-type",
        "Transfer-Encoding",
        "Connection",
        "Cookie",
        "User-Agent",
        "Webhook-Id",
        "webhook-signature",
        "webhook-anything",
        "Proxy-Authorization",
        "X Y",
        "X:Y",
        "X\r\nY",
        "Ação",
        "",
        "x" * 129,
    ],
)
def test_a_header_we_set_or_cannot_write_is_refused(name: str) -> None:
    (flaw,) = header_flaws({name: "value"}, "/headers")
    assert flaw.pointer.startswith("/headers/")


@pytest.mark.parametrize("value", ["a\r\nX-Evil: b", "a\nb", "a\rb", "a\x00b", "a\x7fb", "olá", "x" * 4097])
def test_a_value_that_could_break_the_request_is_refused_and_not_repeated(value: str) -> None:
    (flaw,) = header_flaws({"X-Token": value}, "/headers")
    assert flaw.pointer == "/headers/X-Token"
    assert value not in flaw.message


def test_ordinary_headers_pass() -> None:
    headers = {"Authorization": "Bearer abc.def", "X-Clinic": "sul; centro", "Accept": "*/*", "X-Empty": ""}
    assert header_flaws(headers, "/headers") == []


@pytest.mark.parametrize(
    "headers",
    [{f"X-{n}": "v" for n in range(33)}, {f"X-{n}": "v" * 4000 for n in range(3)}],
    ids=["many", "large"],
)
def test_too_many_headers_are_refused(headers: dict[str, str]) -> None:
    (flaw,) = header_flaws(headers, "/headers")
    assert flaw.pointer == "/headers"


def test_the_pointer_escapes_what_json_pointers_escape() -> None:
    (flaw,) = header_flaws({"a/b": "v"}, "")
    assert flaw.pointer == "/a~1b"
