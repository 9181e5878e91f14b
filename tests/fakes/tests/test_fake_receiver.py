import asyncio
import base64
import json
import sys
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest
from standardwebhooks import Webhook

from nexus_fakes import bare
from nexus_fakes.receiver import Receiver
from nexus_fakes.signatures import verdict

SECRET = "whsec_" + base64.b64encode(b"known to tests and nobody else").decode()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver(secrets=[SECRET]) as receiver:
        yield receiver


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
        yield session


@pytest.fixture(params=["mannered", "bare"])
async def url(request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """Both receivers: what the bare one can do, it does as the other."""
    if request.param == "mannered":
        async with Receiver() as receiver:
            yield receiver.url
    else:
        async with await bare.listen(0) as server:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def post(session: aiohttp.ClientSession, url: str, webhook_id: str = "", body: bytes = b"{}") -> int:
    headers = {"webhook-id": webhook_id} if webhook_id else {}
    async with session.post(url, data=body, headers=headers, allow_redirects=False) as answer:
        await answer.read()
        return answer.status


async def control(
    session: aiohttp.ClientSession, url: str, **settings: object
) -> tuple[int, dict[str, object]]:
    async with session.post(url, json=settings) as answer:
        return answer.status, await answer.json()


async def stats(session: aiohttp.ClientSession, url: str) -> dict[str, object]:
    async with session.get(f"{url}/_control/stats") as answer:
        found: dict[str, object] = await answer.json()
        return found


async def test_requests_are_counted_and_repetitions_told_apart(
    session: aiohttp.ClientSession, url: str
) -> None:
    for webhook_id in ["a", "b", "a", "", "a"]:
        assert await post(session, f"{url}/hook", webhook_id) == 200
    counted = await stats(session, url)
    assert counted["requests"] == 5
    assert counted["distinct"] == 2
    assert counted["duplicates"] == 2
    assert counted["repeated_after_success"] == 2
    assert counted["succeeded"] == 2


async def test_requests_are_shown_page_by_page(session: aiohttp.ClientSession, url: str) -> None:
    for webhook_id in ["a", "b", "c"]:
        await post(session, f"{url}/hook", webhook_id)
    async with session.get(f"{url}/_control/requests?after=1&limit=1") as answer:
        page = await answer.json()
    assert [(each["webhook_id"], each["path"]) for each in page["requests"]] == [("b", "/hook")]
    assert page["next"] == 2


async def test_reset_forgets_what_was_received(session: aiohttp.ClientSession, url: str) -> None:
    await post(session, url, "a")
    await control(session, f"{url}/_control/reset")
    assert (await stats(session, url))["requests"] == 0


async def test_requests_in_pieces_and_in_a_row_are_understood(url: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
    request = b"POST /hook HTTP/1.1\r\nHost: x\r\nWebhook-Id: %d\r\nContent-Length: 4\r\n\r\nbody"
    stream = b"".join(request % number for number in range(3))
    for start in range(0, len(stream), 7):
        writer.write(stream[start : start + 7])
        await writer.drain()
        await asyncio.sleep(0)
    for _ in range(3):
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK")
        assert await reader.readexactly(2) == b"ok"
    writer.close()
    await writer.wait_closed()


async def test_a_delivery_has_headers_body_time_and_verdict(
    receiver: Receiver, session: aiohttp.ClientSession
) -> None:
    await post(session, f"{receiver.url}/hook?x=1", "a", '{"nome":"João"}'.encode())
    (delivery,) = await receiver.wait_for(1)
    assert delivery.path == "/hook?x=1"
    assert delivery.headers["webhook-id"] == "a"
    assert delivery.json() == {"nome": "João"}
    assert delivery.signature == "missing"
    assert abs(delivery.received_at - time.time()) < 5


async def test_waiting_for_more_than_comes_says_how_many_came(receiver: Receiver) -> None:
    with pytest.raises(TimeoutError, match="0 of 1 requests"):
        await receiver.wait_for(1, within=0.01)


async def test_behaviours_are_set_per_path_over_http(
    receiver: Receiver, session: aiohttp.ClientSession
) -> None:
    url = f"{receiver.url}/_control/behaviour"
    assert (await control(session, url, path="/a", status=503, retry_after="7"))[0] == 200
    async with session.post(f"{receiver.url}/a") as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (503, "7")
    assert await post(session, f"{receiver.url}/b") == 200
    await control(session, f"{receiver.url}/_control/reset")
    assert await post(session, f"{receiver.url}/a") == 200


@pytest.mark.parametrize(
    "settings", [{"colour": 1}, {"status": "200"}, {"delay": True}, {"headers": "x"}, {"fail_first": None}]
)
async def test_a_behaviour_that_makes_no_sense_is_refused(
    receiver: Receiver, session: aiohttp.ClientSession, settings: dict[str, object]
) -> None:
    status, problem = await control(session, f"{receiver.url}/_control/behaviour", **settings)
    assert status == 400
    assert next(iter(settings)) in str(problem["error"])


async def test_the_first_requests_of_each_id_fail(receiver: Receiver, session: aiohttp.ClientSession) -> None:
    receiver.behave(fail_first=2, fail_status=500)
    answers = [await post(session, receiver.url, webhook_id) for webhook_id in ["a", "a", "b", "a", "b", "b"]]
    assert answers == [500, 500, 500, 200, 500, 200]
    assert receiver.ledger.stats()["repeated_after_success"] == 0
    assert receiver.ledger.stats()["by_status"] == {"500": 4, "200": 2}


@pytest.mark.parametrize("settings", [{"close": "before"}, {"close": "during"}, {"raw": "not http\r\n\r\n"}])
async def test_a_broken_answer_is_broken_for_the_caller_and_recorded(
    receiver: Receiver, session: aiohttp.ClientSession, settings: dict[str, str]
) -> None:
    receiver.behave(**settings)
    with pytest.raises(aiohttp.ClientError):
        await post(session, receiver.url, "a")
    assert len(receiver.deliveries) == 1


async def test_delays_slow_bodies_sizes_and_redirects(
    receiver: Receiver, session: aiohttp.ClientSession
) -> None:
    receiver.behave("/late", delay=0.1)
    receiver.behave("/slow", slow_body=0.1, body="0123456789")
    receiver.behave("/large", body_bytes=3_000_000)
    receiver.behave("/moved", status=307, redirect_to="http://127.0.0.1:1/")
    for path in ("/late", "/slow"):
        started = time.perf_counter()
        assert await post(session, receiver.url + path) == 200
        assert time.perf_counter() - started > 0.09
    async with session.post(f"{receiver.url}/large") as answer:
        assert len(await answer.read()) == 3_000_000
    assert await post(session, f"{receiver.url}/moved") == 307


async def test_a_receiver_that_is_down_refuses_and_comes_back_on_its_port(
    receiver: Receiver, session: aiohttp.ClientSession
) -> None:
    await control(session, f"{receiver.url}/_control/down", seconds=0.4)
    await asyncio.sleep(0.25)
    with pytest.raises(aiohttp.ClientConnectorError):
        await post(session, receiver.url)
    await asyncio.sleep(0.5)
    assert await post(session, receiver.url) == 200


def test_a_signature_of_the_reference_library_is_valid() -> None:
    now = time.time()
    assert verdict([SECRET], signed_headers(now), b"{}", now) == "valid"
    assert verdict([SECRET], signed_headers(now), b"{} ", now) == "invalid"
    assert verdict([SECRET], signed_headers(now - 301), b"{}", now) == "invalid"
    assert verdict([SECRET], {}, b"{}", now) == "missing"
    assert verdict([], {}, b"{}", now) == "unchecked"


def signed_headers(at: float) -> dict[str, str]:
    moment = datetime.fromtimestamp(int(at), UTC)
    signature = Webhook(SECRET).sign("msg_1", moment, "{}")
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(at)),
        "webhook-signature": f"v1,x {signature}",
    }


async def test_the_ledger_file_gets_a_line_before_each_answer(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    path = tmp_path / "ledger.jsonl"
    for body in (b"{}", b"\xff"):
        async with Receiver(log=path) as receiver:
            receiver.behave(close="before")
            with pytest.raises(aiohttp.ServerDisconnectedError):
                await post(session, receiver.url, "a", body)
    first, second = [json.loads(line) for line in path.read_text().splitlines()]
    assert (first["body"], first["status"]) == ("{}", None)
    assert second["body_base64"] == "/w=="


async def test_only_the_newest_requests_are_kept(session: aiohttp.ClientSession) -> None:
    async with Receiver(keep=2) as receiver:
        for webhook_id in ["a", "b", "c"]:
            await post(session, receiver.url, webhook_id)
        assert [delivery.webhook_id for delivery in receiver.deliveries] == ["b", "c"]
        assert receiver.ledger.page(2, 9)["next"] == 3
        assert [each["webhook_id"] for each in receiver.ledger.page(2, 9)["requests"]] == ["c"]


async def test_a_bare_receiver_asks_for_a_length() -> None:
    async with await bare.listen(0) as server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 411")
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize("mode", [[], ["--bare"]])
async def test_the_command_says_where_it_listens_and_stops_on_request(
    mode: list[str], session: aiohttp.ClientSession
) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "nexus_fakes.main", "receiver", *mode, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        where = json.loads(await asyncio.wait_for(process.stdout.readline(), 20))
        assert await post(session, where["url"], "a") == 200
    finally:
        process.terminate()
    assert await asyncio.wait_for(process.wait(), 10) == 0


async def test_the_command_says_when_its_port_is_taken(receiver: Receiver) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "nexus_fakes.main",
        "receiver",
        "--port",
        str(receiver.port),
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 1
    assert f"cannot listen on port {receiver.port}" in errors.decode()
