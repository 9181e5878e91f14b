import socket
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_shared.outbound.addresses import MAX_URL, OutboundPolicy, OutboundRefused, is_public

PUBLIC = OutboundPolicy()
DEMO = OutboundPolicy.parse("127.0.0.1:8099, [::1]:8099, waha:3000")

REQUIRED_DENIALS = [
    "64:ff9b::/96",
    "64:ff9b:1::/48",
    "2002::/16",
    "2001::/32",
    "::/96",
    "fec0::/10",
    "192.0.0.0/24",
    "192.88.99.0/24",
    "3fff::/20",
    "5f00::/16",
    "240.0.0.0/4",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "224.0.0.0/4",
    "fc00::/7",
    "fe80::/10",
    "ff00::/8",
    "::ffff:0:0:0/96",
]


@pytest.mark.parametrize("network", REQUIRED_DENIALS)
def test_no_address_of_a_denied_network_is_public(network: str) -> None:
    inside = ip_network(network)
    assert not is_public(inside[0])
    assert not is_public(inside[inside.num_addresses // 2])
    assert not is_public(inside[-1])


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "127.0.0.1",
        "169.254.169.254",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.8",
        "192.0.0.192",
        "255.255.255.255",
        "::",
        "::1",
        "::7f00:1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:0:7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::7f00:1",
        "2002:a9fe:a9fe::",
        "2001:0:7f00:1::",
        "fec0::1",
        "fd00:ec2::254",
        "3fff::1",
        "5f00::1",
        "ff0e::1",
        "fe80::1%eth0",
        "2001:4860:4860::8888%eth0",
    ],
)
def test_addresses_that_lead_inside_are_not_public(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "8.8.8.8", "200.160.2.3", "2606:4700:4700::1111", "2804::1", "::ffff:8.8.8.8"]
)
def test_addresses_of_the_internet_are_public(address: str) -> None:
    assert is_public(ip_address(address))


@given(st.ip_addresses())
def test_nothing_is_public_that_python_calls_private(address: object) -> None:
    judged = ip_address(str(address))
    if is_public(judged):
        assert (getattr(judged, "ipv4_mapped", None) or judged).is_global
        assert not judged.is_multicast


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_is_judged_the_same_in_ipv6_clothes(address: object) -> None:
    assert is_public(ip_address(f"::ffff:{address}")) == is_public(ip_address(str(address)))


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://hooks.example.com/", "scheme"),
        ("ftp://hooks.example.com/", "scheme"),
        ("file:///etc/passwd", "scheme"),
        ("//hooks.example.com/", "scheme"),
        ("https://", "scheme"),
        ("hooks.example.com/path", "scheme"),
        ("", "scheme"),
        ("https://hooks.example.com:22/", "port"),
        ("https://hooks.example.com:5432/", "port"),
        ("https://hooks.example.com:0/", "port"),
        ("https://hooks.example.com:99999/", "url"),
        ("https://hooks.example.com:٤٤٣x/", "url"),
        ("https://user@hooks.example.com/", "userinfo"),
        ("https://@hooks.example.com/", "userinfo"),
        ("https://user:word@127.0.0.1/", "userinfo"),
        ("https://hooks.example.com/#part", "fragment"),
        ("https://hooks.example.com/\r\nX: y", "characters"),
        ("https://hooks.example.com/a b", "characters"),
        (" https://hooks.example.com/", "characters"),
        ("https://hooks.example.com\\@127.0.0.1/", "characters"),
        ("https://hooks.example.com/\x00", "characters"),
        ("https://127.0.0.1/", "address"),
        ("https://169.254.169.254/latest/meta-data/", "address"),
        ("https://[::1]/", "address"),
        ("https://[::ffff:127.0.0.1]/", "address"),
        ("https://[::ffff:7f00:1]/", "address"),
        ("https://[64:ff9b::a9fe:a9fe]/", "address"),
        ("https://[2002:7f00:1::]/", "address"),
        ("https://[fec0::1]/", "address"),
        ("https://１２７.０.０.１/", "address"),
        ("https://127。0。0。1/", "address"),
        ("https://0x7f000001/", "host"),
        ("https://2130706433/", "host"),
        ("https://127.1/", "host"),
        ("https://0177.0.0.1/", "host"),
        ("https://127.0.0.0x1/", "host"),
        ("https://1.2.3.4.5/", "host"),
        ("https://256.256.256.256/", "host"),
        ("https://localhost/", "host"),
        ("https://postgres/", "host"),
        ("https://127.0.0.1./", "host"),
        ("https://hooks..example.com/", "host"),
        ("https://-hooks.example.com/", "host"),
        ("https://127%2e0.0.1/", "host"),
        ("https://hooks.example.com%00.evil.test/", "host"),
        (f"https://{'a' * 64}.example.com/", "host"),
        (f"https://{'a.' * 130}com/", "host"),
        (f"https://hooks.example.com/{'a' * MAX_URL}", "length"),
    ],
)
def test_an_address_we_would_not_call_is_refused_with_its_reason(url: str, code: str) -> None:
    with pytest.raises(OutboundRefused) as refused:
        PUBLIC.check(url)
    assert refused.value.code == code, str(refused.value)


def test_a_scoped_address_is_refused() -> None:
    with pytest.raises(OutboundRefused):
        PUBLIC.check("https://[fe80::1%25eth0]/")


@pytest.mark.parametrize(
    ("url", "requested"),
    [
        ("https://hooks.example.com", "https://hooks.example.com/"),
        ("https://HOOKS.Example.com:443/a?b=c", "https://hooks.example.com/a?b=c"),
        ("https://hooks.example.com:8443/a", "https://hooks.example.com:8443/a"),
        ("https://hooks.example.com?b=c", "https://hooks.example.com/?b=c"),
        ("https://clínica.com.br/ação?n=olá", "https://xn--clnica-4va.com.br/a%C3%A7%C3%A3o?n=ol%C3%A1"),
        ("https://[2606:4700:4700:0::1111]/", "https://[2606:4700:4700::1111]/"),
        ("https://1.1.1.1/", "https://1.1.1.1/"),
        ("https://hooks.example.com/a?sig=a%2Bb%3D%3A%7E+c&at=1@2", None),
        ("https://hooks.example.com/a/../b//c;d=%41", None),
    ],
)
def test_an_address_of_the_internet_is_requested_as_written(url: str, requested: str | None) -> None:
    assert str(PUBLIC.check(url)) == (requested or url)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8099/hook", "http://[::1]:8099/", "http://waha:3000/api"])
def test_what_the_operator_allows_is_called_by_plain_http(url: str) -> None:
    assert str(DEMO.check(url)) == url


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8098/", "http://127.0.0.2:8099/", "http://localhost:8099/", "http://waha:80/"]
)
def test_allowing_one_address_allows_no_other(url: str) -> None:
    with pytest.raises(OutboundRefused):
        DEMO.check(url)


def test_one_private_answer_refuses_the_name() -> None:
    answers = [ip_address("1.1.1.1"), ip_address("10.0.0.1")]
    with pytest.raises(OutboundRefused) as refused:
        PUBLIC.judge("hooks.example.com", 443, answers)
    assert "10.0.0.1" not in str(refused.value)


def test_no_answer_refuses_the_name() -> None:
    with pytest.raises(OutboundRefused):
        PUBLIC.judge("hooks.example.com", 443, [])


def test_public_answers_come_back_in_order_and_once() -> None:
    first, second = ip_address("1.1.1.1"), ip_address("2606:4700:4700::1111")
    assert PUBLIC.judge("hooks.example.com", 443, [first, second, first]) == [first, second]


def test_an_allowed_private_address_does_not_help_another_name_that_leads_there() -> None:
    policy = OutboundPolicy.parse("127.0.0.1:8443")
    with pytest.raises(OutboundRefused):
        policy.judge("evil.example.com", 8443, [ip_address("127.0.0.1")])


@pytest.mark.parametrize("own", ["1.1.1.0/24", "2606:4700::/32"])
def test_our_own_public_addresses_are_not_called(own: str) -> None:
    policy = OutboundPolicy.parse(own_networks=own)
    inside = ip_network(own)[1]
    with pytest.raises(OutboundRefused):
        policy.judge("hooks.example.com", 443, [inside])
    if inside.version == 4:
        with pytest.raises(OutboundRefused):
            policy.judge("hooks.example.com", 443, [ip_address(f"::ffff:{inside}")])


@pytest.mark.parametrize("name", ["0x7f000001", "2130706433", "127.1", "0177.0.0.1"])
def test_a_number_in_disguise_is_refused_by_its_address_too(name: str) -> None:
    answers = socket.getaddrinfo(name, 443, type=socket.SOCK_STREAM)
    addresses = [ip_address(answer[4][0]) for answer in answers]
    assert addresses == [ip_address("127.0.0.1")]
    with pytest.raises(OutboundRefused):
        PUBLIC.judge(name, 443, addresses)


def test_a_form_gets_a_flaw_at_its_field() -> None:
    (flaw,) = PUBLIC.flaws("http://hooks.example.com/", "/actions/0/params/url")
    assert (flaw.pointer, flaw.code) == ("/actions/0/params/url", "scheme")
    assert "https://" in flaw.message
    assert PUBLIC.flaws("https://hooks.example.com/", "/url") == []


@pytest.mark.parametrize("entry", ["127.0.0.1", "127.0.0.1:", ":80", "127.0.0.1:70000", "waha:http"])
def test_an_allowed_address_without_host_or_port_is_a_mistake_of_the_operator(entry: str) -> None:
    with pytest.raises(ValueError, match="Expected host:port"):
        OutboundPolicy.parse(entry)


@given(st.text(max_size=80))
def test_any_text_is_either_refused_or_a_public_https_address(text: str) -> None:
    try:
        url = PUBLIC.check(text)
    except OutboundRefused:
        return
    assert url.scheme == "https"
    assert url.port in (443, 8443)


@given(
    st.sampled_from(
        ["", "a.", "1.", "0x", "127.", "[", "::", "xn--", "é", "\u3002", "%2e", "\u00ad", "_"]
    ).flatmap(
        lambda piece: st.text(alphabet="0123456789abxé.:[]%-", max_size=12).map(lambda rest: piece + rest)
    )
)
def test_whatever_host_passes_reads_the_same_when_parsed_again(host: str) -> None:
    try:
        url = PUBLIC.check(f"https://{host}/path")
    except OutboundRefused:
        return
    assert PUBLIC.check(str(url)) == url
    assert url.raw_host is not None
    assert url.raw_host.isascii()
