"""The private servers of tests and launcher."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import aio_pika
import asyncpg
import pytest

from nexus_shared.testing.private_postgres import SUPERUSER, WHEEL, PrivatePostgres, binaries
from nexus_shared.testing.processes import Account, answers, free_port, is_ours
from nexus_shared.testing.provision import Servers
from nexus_shared.testing.servers import PrivateServers, ServerNotFit

pytestmark = pytest.mark.integration


@pytest.fixture
def directory() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="nexus-test-", dir="/var/tmp"))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def private(servers: Servers) -> PrivateServers:
    if servers.private is None:
        pytest.skip("the servers were given, they are not ours to kill")
    return servers.private


async def select_one(private: PrivateServers) -> int:
    connection = await asyncpg.connect(private.urls.database)
    try:
        return int(await connection.fetchval("select 1"))
    finally:
        await connection.close()


async def test_a_second_start_finds_the_servers_running(private: PrivateServers) -> None:
    pids = private.postgres_pid, private.rabbitmq_pid

    again = PrivateServers(private.directory)
    urls = await asyncio.to_thread(again.up)

    assert (again.postgres_pid, again.rabbitmq_pid) == pids
    assert urls == private.urls
    assert None not in pids


async def test_postgres_is_as_durable_as_in_production(private: PrivateServers) -> None:
    connection = await asyncpg.connect(private.urls.database)
    settings = {name: await connection.fetchval(f"show {name}") for name in ("fsync", "synchronous_commit")}
    await connection.close()

    assert settings == {"fsync": "on", "synchronous_commit": "on"}


async def test_postgres_comes_back_with_its_data_after_a_kill(private: PrivateServers) -> None:
    connection = await asyncpg.connect(private.urls.database)
    await connection.execute("create table survivors as select 7 as number")

    await asyncio.to_thread(private.kill_postgres)
    assert private.postgres_pid is None
    with pytest.raises((asyncpg.PostgresError, OSError, asyncpg.InterfaceError)):
        await connection.fetchval("select 1")
    connection.terminate()
    await asyncio.to_thread(private.start_postgres)

    connection = await asyncpg.connect(private.urls.database)
    assert await connection.fetchval("select number from survivors") == 7
    await connection.execute("drop table survivors")
    await connection.close()


async def test_a_frozen_postgres_answers_only_when_thawed(private: PrivateServers) -> None:
    private.freeze_postgres()
    try:
        asking = asyncio.create_task(select_one(private))
        done, _ = await asyncio.wait([asking], timeout=0.3)
        assert not done
    finally:
        private.thaw_postgres()
    assert await asking == 1


async def test_the_broker_comes_back_after_a_kill_with_its_definitions(private: PrivateServers) -> None:
    private.import_definitions({"vhosts": [{"name": "survivor"}]})

    await asyncio.to_thread(private.kill_rabbitmq)
    assert private.rabbitmq_pid is None
    await asyncio.to_thread(private.start_rabbitmq)

    connection = await aio_pika.connect(private.urls.amqp_of("survivor"))
    await connection.close()
    private.delete_vhost("survivor")


async def test_definitions_given_at_the_start_are_loaded_and_nothing_is_left_after_down(
    directory: Path,
) -> None:
    own = PrivateServers(directory, definitions={"vhosts": [{"name": "from-the-file"}]})
    urls = await asyncio.to_thread(own.up)
    connection = await aio_pika.connect(urls.amqp_of("from-the-file"))
    await connection.close()
    state = json.loads((directory / "servers.json").read_text())
    ports = [state[name] for name in ("postgres_port", "amqp_port", "epmd_port", "distribution_port")]

    await asyncio.to_thread(own.down)

    assert own.postgres_pid is None
    assert own.rabbitmq_pid is None
    assert not [port for port in ports if answers(port)]
    assert stat.S_IMODE((directory / "servers.json").stat().st_mode) == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL as another account")
async def test_binaries_in_a_private_home_are_copied_to_where_the_servers_account_reaches_them(
    directory: Path,
) -> None:
    found = binaries()
    assert found is not None
    home = directory / "home"
    shutil.copytree(found.parents[1], home / WHEEL, symlinks=True)
    shutil.copytree(found.parents[2] / f"{WHEEL}.libs", home / f"{WHEEL}.libs")
    home.chmod(0o700)
    postgres = PrivatePostgres(
        directory / "postgres", Account.of_servers(), home / WHEEL / "pginstall" / "bin"
    )

    port = free_port()
    await asyncio.to_thread(postgres.start, port, "secret-of-the-test")
    connection = await asyncpg.connect(
        f"postgresql://{SUPERUSER}:secret-of-the-test@127.0.0.1:{port}/postgres"
    )
    await connection.close()
    postgres.stop()


async def test_a_port_in_use_is_named(directory: Path) -> None:
    listener = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]

    with pytest.raises(ServerNotFit, match=f"Port {port} is in use"):
        PrivateServers(directory, postgres_port=port).up()
    listener.close()


def test_a_damaged_state_file_is_named(directory: Path) -> None:
    (directory / "servers.json").write_text("{")

    with pytest.raises(ServerNotFit, match=r"servers\.json is damaged"):
        PrivateServers(directory).up()


def test_a_closed_parent_is_refused_before_anything_starts(directory: Path) -> None:
    directory.chmod(0o700)

    with pytest.raises(ServerNotFit, match="closed to other accounts"):
        PrivateServers(directory / "inner").up()


def test_a_pid_of_a_stranger_is_not_ours(directory: Path) -> None:
    assert not is_ours(1, directory)
