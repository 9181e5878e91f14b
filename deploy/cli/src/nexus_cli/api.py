"""The public APIs as the command uses them; problems become sentences."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import httpx

from nexus_cli.outcomes import CommandFailed

SECONDS = 15.0
SILENCE_SECONDS = 60.0


class Refused(CommandFailed):
    """The service answered no; `status` is the HTTP status."""

    def __init__(self, reason: str, advice: str, status: int) -> None:
        super().__init__(reason, advice)
        self.status = status


class ServiceAway(CommandFailed):
    """The service does not answer at all."""


class Api:
    """One service's API for one key. Raises CommandFailed with what the service says."""

    def __init__(self, url: str, key: str) -> None:
        self._url = url.rstrip("/")
        self.key = key
        self._headers = {"Authorization": f"Bearer {key}"}

    def ask(
        self,
        method: str,
        path: str,
        *,
        json: object = None,
        params: Mapping[str, Any] | None = None,
        content_type: str = "application/json",
    ) -> Any:
        """The answer's JSON; None for an empty one."""
        answer = self._send(method, path, json=json, params=params, content_type=content_type)
        if answer.is_error:
            raise refusal(answer)
        return answer.json() if answer.content else None

    @contextmanager
    def stream(
        self, path: str, params: Mapping[str, Any], headers: Mapping[str, str]
    ) -> Iterator[Iterator[str]]:
        """The lines of an endless answer; silence longer than its heartbeats counts as a broken connection."""
        sent = self._headers | dict(headers)
        try:
            with (
                httpx.Client(timeout=httpx.Timeout(SECONDS, read=SILENCE_SECONDS), headers=sent) as client,
                client.stream("GET", self._url + path, params=_given(params)) as answer,
            ):
                if answer.is_error:
                    answer.read()
                    raise refusal(answer)
                yield answer.iter_lines()
        except httpx.TransportError as error:
            raise self._away(error) from error

    @asynccontextmanager
    async def stream_async(self, path: str, last_id: str) -> AsyncIterator[AsyncIterator[str]]:
        """The same on an event loop, after the update `last_id`; raises httpx.TransportError when it breaks."""
        sent = self._headers | ({"Last-Event-ID": last_id} if last_id else {})
        async with (
            httpx.AsyncClient(timeout=httpx.Timeout(SECONDS, read=SILENCE_SECONDS), headers=sent) as client,
            client.stream("GET", self._url + path) as answer,
        ):
            if answer.is_error:
                await answer.aread()
                raise refusal(answer)
            yield answer.aiter_lines()

    def _send(
        self, method: str, path: str, *, json: object, params: Mapping[str, Any] | None, content_type: str
    ) -> httpx.Response:
        headers = self._headers | ({"Content-Type": content_type} if json is not None else {})
        try:
            return httpx.request(
                method,
                self._url + path,
                json=json,
                params=_given(params or {}),
                headers=headers,
                timeout=SECONDS,
            )
        except httpx.TransportError as error:
            raise self._away(error) from error

    def _away(self, error: httpx.TransportError) -> ServiceAway:
        return ServiceAway(f"{self._url} does not answer ({error}).", "Is it running? nexus status")


def refusal(answer: httpx.Response) -> Refused:
    """A problem (RFC 9457) as a sentence, with a line for every flaw."""
    status = answer.status_code
    try:
        problem = answer.json()
    except ValueError:
        return Refused(f"{answer.request.url} answered {status}.", "", status)
    detail = problem.get("detail") or problem.get("title") or f"status {status}"
    flaws = [
        f"{flaw.get('pointer') or '(whole)'}: {flaw.get('message')}" for flaw in problem.get("errors", ())
    ]
    return Refused(str(detail), "\n".join(flaws), status)


def _given(params: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in params.items() if value is not None}
