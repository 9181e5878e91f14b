"""Servers of our own that may be killed, frozen and started again."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nexus_shared.testing.provision import Servers
from nexus_shared.testing.servers import PrivateServers


@contextmanager
def breakable_servers() -> Iterator[Servers]:
    """Private PostgreSQL and RabbitMQ below /var/tmp, removed at the end. Raises ServerNotFit."""
    directory = Path(tempfile.mkdtemp(prefix="nexus-faults-", dir="/var/tmp"))
    directory.chmod(0o711)
    private = PrivateServers(directory)
    try:
        urls = private.up()
        yield Servers(urls.database, urls.amqp, private, private)
    finally:
        private.down()
        shutil.rmtree(directory, ignore_errors=True)
