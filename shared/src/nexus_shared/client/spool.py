"""The spool: events on disk before they are sent, so that a crash between the two loses nothing.

A directory with append-only segments of JSON lines (one event a line), fsynced before the first publish. A segment
goes away when each of its events is confirmed; the current one is emptied whenever nothing is outstanding. So what a
start finds is what was never confirmed, and perhaps a few events whose confirmation a crash cut off: they are sent
again with the same ids. Refused events move to `refused.jsonl` and are tried again at the next start.

The files hold personal data in the clear and are readable by their owner only.
"""

from __future__ import annotations

import fcntl
import logging
import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pydantic import ValidationError

from nexus_shared.client.errors import SpoolFull, SpoolInUse, SpoolUnusable
from nexus_shared.envelope import Event

log = logging.getLogger(__name__)

SEGMENT_BYTES = 2**20
REFUSED = "refused.jsonl"
DAMAGED = "damaged.jsonl"


@dataclass(eq=False)
class Segment:
    """One file. `outstanding` counts its unconfirmed events; `size` is in bytes."""

    path: Path
    descriptor: int
    size: int = 0
    outstanding: int = 0
    is_broken: bool = False


@dataclass(frozen=True)
class Kept:
    """An event found at start: its id and its JSON line without the line break."""

    id: str
    line: bytes


class Spool:
    """Owned by one process through a lock file. One call at a time, except `reserve`, which any thread may call."""

    def __init__(self, directory: Path, tenant_id: str, limit_bytes: int) -> None:
        self.directory = directory
        self._tenant_id = tenant_id
        self._limit_bytes = limit_bytes
        self._used_bytes = 0
        self._counting = threading.Lock()
        self._lock = -1
        self._current: Segment | None = None
        self._number = 0
        self._segments: set[Segment] = set()

    def open(self) -> list[tuple[Segment, list[Kept]]]:
        """Take the lock; the events of earlier runs, oldest first, each with the new segment it is in now.

        Raises SpoolInUse; SpoolUnusable also when the events are another tenant's.
        """
        try:
            self._take_lock()
            return self._gather()
        except OSError as error:
            self.close()
            raise _unusable(self.directory, error) from error
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Leave everything on disk that is not confirmed, and release the lock."""
        for segment in list(self._segments):
            if segment.outstanding == 0:
                self._remove(segment)
            else:
                os.close(segment.descriptor)
        self._segments.clear()
        self._current = None
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def reserve(self, size: int) -> None:
        """Room for so many bytes, or SpoolFull. The following `append` of them is then within the limit."""
        with self._counting:
            if self._used_bytes + size > self._limit_bytes:
                raise SpoolFull(
                    f"The spool {self.directory} holds {self._used_bytes} of {self._limit_bytes} bytes that the broker "
                    "has not confirmed; this event was not taken. Bring the broker back, or raise spool_limit."
                )
            self._used_bytes += size

    def append(self, lines: Sequence[bytes]) -> Segment:
        """Lines on disk, fsynced, all in one segment. Raises SpoolUnusable; then none of them counts as taken."""
        size = sum(map(len, lines)) + len(lines)
        try:
            segment = self._writable()
            try:
                _write(segment.descriptor, b"\n".join(lines) + b"\n")
                os.fdatasync(segment.descriptor)
            except OSError:
                segment.is_broken = True  # its end is unknown now: nothing more is written there
                raise
        except OSError as error:
            self._count(-size)
            raise _unusable(self.directory, error) from error
        segment.size += size
        segment.outstanding += len(lines)
        return segment

    def settle(self, segment: Segment, events: int) -> None:
        """So many events of this segment are confirmed (or set aside)."""
        segment.outstanding -= events
        if segment.outstanding == 0:
            self._empty(segment) if segment is self._current else self._remove(segment)

    def set_aside(self, lines: Sequence[bytes]) -> None:
        """Keep refused events for the next start, out of the way of the others."""
        path = self.directory / REFUSED
        with _private(path) as file:
            file.write(b"\n".join(lines) + b"\n")
            file.flush()
            os.fdatasync(file.fileno())
        self._count(sum(map(len, lines)) + len(lines))

    def _take_lock(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = os.open(self.directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(self._lock, 20, 0).decode(errors="replace").strip() or "unknown"
            raise SpoolInUse(
                f"{self.directory} is the spool of process {owner}: give each process (each worker) its own spool_dir."
            ) from None
        os.truncate(self._lock, 0)
        os.pwrite(self._lock, str(os.getpid()).encode(), 0)

    def _gather(self) -> list[tuple[Segment, list[Kept]]]:
        """Everything left behind in new segments. A crash in between leaves both, and sends twice: harmless."""
        files = self._left_behind()
        self._number = max((int(path.stem) for path in files if path.stem.isdigit()), default=0)
        found = []
        for share in _shares(self._read(files)):
            lines = [event.line for event in share]
            self._count(sum(map(len, lines)) + len(lines))
            found.append((self.append(lines), share))
        _unlink(files)
        return found

    def _left_behind(self) -> list[Path]:
        refused = [path for path in [self.directory / REFUSED] if path.exists()]
        segments = [path for path in self.directory.glob("*.jsonl") if path.stem.isdigit()]
        return refused + sorted(segments, key=lambda path: int(path.stem))

    def _read(self, files: Iterable[Path]) -> Iterator[Kept]:
        seen: set[tuple[str, str]] = set()
        for path in files:
            for number, line in enumerate(path.read_bytes().split(b"\n"), 1):
                event = self._event_in(line, path, number) if line else None
                if event and (event.source, event.id) not in seen:
                    seen.add((event.source, event.id))
                    yield Kept(event.id, line)

    def _event_in(self, line: bytes, path: Path, number: int) -> Event | None:
        """None for a line that is no event: cut off by a crash (then it was never sent), or damaged on disk."""
        try:
            event = Event.model_validate_json(line)
        except ValidationError:
            log.warning("Line %d of %s is no event; it is skipped and kept in %s", number, path, DAMAGED)
            with _private(self.directory / DAMAGED) as file:
                file.write(line + b"\n")
            return None
        if event.tenantid != self._tenant_id:
            raise SpoolUnusable(
                f"{path} holds events of tenant {event.tenantid!r}, this publisher sends for {self._tenant_id!r}: "
                "use another spool_dir."
            )
        return event

    def _writable(self) -> Segment:
        current = self._current
        if current is None or current.is_broken or current.size >= SEGMENT_BYTES:
            self._number += 1
            path = self.directory / f"{self._number:09d}.jsonl"
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
            self._current = Segment(path, descriptor)
            self._segments.add(self._current)
            _sync_directory(self.directory)
            if current is not None and current.outstanding == 0:
                self._remove(current)
        assert self._current is not None
        return self._current

    def _empty(self, segment: Segment) -> None:
        os.ftruncate(segment.descriptor, 0)
        self._count(-segment.size)
        segment.size = 0

    def _remove(self, segment: Segment) -> None:
        self._segments.discard(segment)
        os.close(segment.descriptor)
        segment.path.unlink(missing_ok=True)
        self._count(-segment.size)

    def _count(self, size: int) -> None:
        with self._counting:
            self._used_bytes += size


def _shares(kept: Iterable[Kept]) -> Iterator[list[Kept]]:
    """Cut into what one segment holds."""
    share: list[Kept] = []
    size = 0
    for event in kept:
        share.append(event)
        size += len(event.line) + 1
        if size >= SEGMENT_BYTES:
            yield share
            share, size = [], 0
    if share:
        yield share


def _unusable(directory: Path, error: OSError) -> SpoolUnusable:
    return SpoolUnusable(
        f"The spool {directory} cannot be used ({error}); repair the disk or its permissions. The event was not taken, "
        "publish it again with the same id."
    )


def _write(descriptor: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


def _private(path: Path) -> BinaryIO:
    """Appending, readable by the owner only."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unlink(files: Iterable[Path]) -> None:
    for path in files:
        path.unlink(missing_ok=True)
