"""The launcher's parts: what it keeps, what it tells services, how it shows their logs."""

from __future__ import annotations

import json
import os
import socket
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from nexus_cli.launcher import broker, diagnosis, overview
from nexus_cli.launcher.environment import environment_of
from nexus_cli.launcher.installation import DEMO_TENANT, Installation
from nexus_cli.launcher.log_lines import LogTail, readable
from nexus_cli.launcher.memory import Memory
from nexus_cli.launcher.places import default_directory
from nexus_cli.launcher.registry import ServiceEntry
from nexus_cli.launcher.secrets import ClientLogin, Secrets, SecretsFile
from nexus_cli.launcher.service_process import ServiceProcess
from nexus_cli.outcomes import EnvironmentNotFit
from nexus_shared import topology
from nexus_shared.access.keys import parse_keys
from nexus_shared.access.tokens import TokenSigner, TokenVerifier
from nexus_shared.sealing import MasterKeys
from nexus_shared.testing.processes import free_port, wait_until


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    made = Installation(tmp_path / "nexus")
    made.prepare()
    return made


def a_service(program: str, name: str = "sleeper") -> ServiceEntry:
    """A service whose program is a small Python script."""

    class Scripted(ServiceEntry):
        @property
        def program(self) -> Path:
            return Path(program)

    return Scripted(name, "nexus_cli", 7001)


def a_program(directory: Path, *lines: str) -> str:
    script = directory / "program"
    script.write_text("\n".join([f"#!{sys.executable}", *lines]))
    script.chmod(0o755)
    return str(script)


class TestSecrets:
    def test_secrets_are_made_once_and_closed_to_others(self, tmp_path: Path) -> None:
        file = SecretsFile(tmp_path / "secrets.json")
        first = file.load()
        assert file.load() == first
        assert first.master_key != first.signing_key
        assert stat.S_IMODE(file.path.stat().st_mode) == 0o600

    def test_services_can_read_the_keys(self) -> None:
        secrets = Secrets()
        MasterKeys(parse_keys(secrets.master_keys))
        TokenVerifier(parse_keys(secrets.token_public_keys))

    def test_passwords_that_exist_stay(self) -> None:
        once = Secrets().with_passwords("db:ingest")
        twice = once.with_passwords("db:ingest", "amqp:svc.ingest")
        assert twice.passwords["db:ingest"] == once.passwords["db:ingest"]
        assert set(twice.passwords) == {"db:ingest", "amqp:svc.ingest"}

    def test_a_client_of_the_same_name_is_replaced(self) -> None:
        secrets = Secrets().with_client(ClientLogin("pub", "a", "crm", "old"))
        secrets = secrets.with_client(ClientLogin("pub", "a", "crm", "new"))
        assert [client.password for client in secrets.clients] == ["new"]

    def test_a_damaged_file_is_never_overwritten(self, tmp_path: Path) -> None:
        path = tmp_path / "secrets.json"
        path.write_text("{")
        with pytest.raises(EnvironmentNotFit, match=r"secrets\.json is damaged"):
            SecretsFile(path).load()
        assert path.read_text() == "{"


class TestPorts:
    def test_the_preferred_port_is_taken_when_it_is_free(self) -> None:
        port = free_port()
        assert Memory().choose_port("ingest", port) == (port, False)

    def test_a_port_in_use_is_replaced_and_remembered(self) -> None:
        memory = Memory()
        with socket.create_server(("127.0.0.1", 0)) as taken:
            wanted = taken.getsockname()[1]
            port, changed = memory.choose_port("ingest", wanted)
        assert changed
        assert port != wanted
        assert memory.choose_port("ingest", wanted) == (port, False)

    def test_two_services_never_share_a_port(self) -> None:
        memory, port = Memory(), free_port()
        assert memory.choose_port("a", port) == (port, False)
        assert memory.choose_port("b", port)[0] != port

    def test_a_damaged_memory_is_forgotten(self, tmp_path: Path) -> None:
        path = tmp_path / "launcher.json"
        path.write_text('{"ports": 7')
        assert Memory.load(path) == Memory()


class TestPlaces:
    @pytest.fixture
    def reachable(self) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(prefix="nexus-test-", dir="/var/tmp") as name:
            Path(name).chmod(0o755)
            yield Path(name)

    def test_a_checkout_that_servers_can_reach_holds_its_own_data(self, reachable: Path) -> None:
        assert default_directory(reachable) == (reachable / ".nexus", "")

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root runs servers as another account")
    def test_a_closed_checkout_of_root_keeps_its_data_elsewhere_and_says_so(self, tmp_path: Path) -> None:
        closed = tmp_path / "closed"
        closed.mkdir(mode=0o700)
        directory, notice = default_directory(closed)
        assert not directory.is_relative_to(closed)
        assert str(closed) in notice or str(tmp_path) in notice
        assert str(directory) in notice
        assert default_directory(closed) == (directory, notice)


class TestWhatServicesAreTold:
    @pytest.fixture
    def told(self, installation: Installation, monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, str]]:
        monkeypatch.setenv("NEXUS_HTTP_PORT", "1")
        monkeypatch.setenv("NEXUS_LOG_LEVEL", "DEBUG")
        broker.complete_secrets(installation)
        (installation.servers.directory).mkdir()
        state = {"postgres_port": 5001, "amqp_port": 5002, "distribution_port": 1, "epmd_port": 2}
        (installation.servers.directory / "servers.json").write_text(json.dumps(state))
        memory = installation.memory()
        memory.ports = {entry.name: entry.port for entry in installation.services}
        installation.keep_memory(memory)
        return {entry.name: environment_of(entry, installation) for entry in installation.services}

    def test_only_ingest_can_sign_keys(self, told: dict[str, dict[str, str]]) -> None:
        assert [name for name, settings in told.items() if "NEXUS_TOKEN_SIGNING_KEY" in settings] == [
            "ingest"
        ]

    def test_every_service_has_roles_and_a_broker_user_of_its_own(
        self, told: dict[str, dict[str, str]]
    ) -> None:
        assert told["ingest"]["NEXUS_DATABASE_URL"].startswith("postgresql://ingest:")
        assert told["ingest"]["NEXUS_DATABASE_API_URL"].startswith("postgresql://ingest_api:")
        assert told["ingest"]["NEXUS_AMQP_URL"].startswith("amqp://svc.ingest:")
        assert told["ingest"]["NEXUS_AMQP_URL"].endswith("@127.0.0.1:5002/nexus")

    def test_settings_of_the_persons_shell_do_not_leak_in(self, told: dict[str, dict[str, str]]) -> None:
        assert told["ingest"]["NEXUS_HTTP_PORT"] == "7001"
        assert told["ingest"]["NEXUS_LOG_LEVEL"] == "DEBUG"

    def test_a_key_signed_here_is_accepted_by_every_service(
        self, installation: Installation, told: dict[str, dict[str, str]]
    ) -> None:
        from nexus_cli.launcher.demo_clinic import platform_token

        token = platform_token(installation)
        for settings in told.values():
            verifier = TokenVerifier(parse_keys(settings["NEXUS_TOKEN_PUBLIC_KEYS"]))
            assert verifier.verify(token).is_platform
        seed = parse_keys(f"k:{told['ingest']['NEXUS_TOKEN_SIGNING_KEY']}")["k"]
        TokenSigner.among(seed, parse_keys(told["ingest"]["NEXUS_TOKEN_PUBLIC_KEYS"]))


class TestBroker:
    def test_the_demo_publisher_is_there_once(self, installation: Installation) -> None:
        broker.complete_secrets(installation)
        secrets = broker.complete_secrets(installation)
        assert [(c.kind, c.tenant_id, c.name) for c in secrets.clients] == [("pub", DEMO_TENANT, "demo")]

    def test_definitions_hold_services_and_every_client(self, installation: Installation) -> None:
        secrets = broker.complete_secrets(installation)
        secrets = secrets.with_client(ClientLogin("pub", "clinica-sul", "crm", "secret"))
        users = {user["name"] for user in broker.definitions_of(secrets)["users"]}
        assert {"svc.ingest", f"pub.{DEMO_TENANT}.demo", "pub.clinica-sul.crm"} <= users
        assert topology.ADMIN not in users  # the servers add it, with a password of their own


class TestServiceProcess:
    def test_a_service_that_ends_is_started_again_after_a_growing_pause(self, tmp_path: Path) -> None:
        program = a_program(tmp_path, "raise SystemExit(7)")
        service = ServiceProcess(a_service(program), {}, tmp_path / "run", tmp_path / "log", 1)
        pauses = []
        for _ in range(3):
            service.start()
            assert wait_until(lambda: service.pid is None, 10)
            assert service.ended() == 7
            assert not service.is_due
            pauses.append(service.pause)
        assert pauses == [1, 2, 4]

    def test_what_it_writes_is_in_its_log(self, tmp_path: Path) -> None:
        program = a_program(tmp_path, "import sys", "print('out')", "print('err', file=sys.stderr)")
        service = ServiceProcess(a_service(program), {}, tmp_path / "run", tmp_path / "log", 1)
        service.start()
        assert wait_until(lambda: service.pid is None, 10)
        assert sorted((tmp_path / "log").read_text().split()) == ["err", "out"]

    def test_it_can_be_stopped(self, tmp_path: Path) -> None:
        program = a_program(tmp_path, "import time", "time.sleep(60)")
        service = ServiceProcess(a_service(program), {}, tmp_path / "run", tmp_path / "log", 1)
        service.start()
        service.terminate()
        assert wait_until(lambda: service.pid is None, 10)


class TestLogs:
    def test_a_line_of_json_becomes_words(self) -> None:
        line = {"timestamp": "2026-11-23T12:00:00Z", "level": "info", "event": "batch_recorded", "events": 12}
        text = readable(json.dumps({**line, "service": "ingest", "reason": "two words"}))
        assert "batch_recorded" in text
        assert 'events=12 reason="two words"' in text
        assert "service=" not in text

    def test_other_lines_stay_and_markup_in_them_is_harmless(self) -> None:
        assert readable("[red]no json[/red]") == r"\[red]no json\[/red]"
        assert readable("[1, 2]") == "[1, 2]"

    def test_only_an_error_shows_its_whole_traceback(self) -> None:
        told = {"event": "failed", "exception": "first line\nlast line"}
        assert "first line" in readable(json.dumps({**told, "level": "error"}))
        assert "first line" not in readable(json.dumps({**told, "level": "warning"}))
        assert "last line" in readable(json.dumps({**told, "level": "warning"}))

    def test_following_begins_at_the_end_and_shows_whole_lines(self, tmp_path: Path) -> None:
        path = tmp_path / "log"
        path.write_text("old\n")
        tail = LogTail(path)
        with path.open("a") as file:
            file.write("new\nhal")
            file.flush()
            assert list(tail.lines()) == ["new"]
            file.write("f\n")
            file.flush()
            assert list(tail.lines()) == ["half"]

    def test_a_replaced_file_is_read_from_its_beginning(self, tmp_path: Path) -> None:
        path = tmp_path / "log"
        path.write_text("a long line of the past\n")
        tail = LogTail(path)
        path.write_text("new\n")
        assert list(tail.lines()) == ["new"]

    def test_a_file_that_does_not_exist_yet_is_waited_for(self, tmp_path: Path) -> None:
        tail = LogTail(tmp_path / "log")
        assert list(tail.lines()) == []
        (tmp_path / "log").write_text("first\n")
        assert list(tail.lines()) == ["first"]


class TestOverview:
    def test_what_never_ran_has_addresses_and_no_secrets(self, tmp_path: Path) -> None:
        found = overview.of(Installation(tmp_path))
        assert found["running"] is False
        assert found["amqp_url"] is None
        assert found["demo"]["api_key"] is None
        assert not any(service["healthy"] for service in found["services"].values())
        assert list(tmp_path.iterdir()) == []

    def test_one_value_is_found_by_its_path(self) -> None:
        found = {"services": {"ingest": {"url": "http://x"}}}
        assert overview.pick(found, "services.ingest.url") == "http://x"
        assert overview.pick(found, "services.ingest.url.more") is None


class TestDoctor:
    def test_a_fit_machine_has_no_findings_against_it(self, installation: Installation) -> None:
        unfit = [finding for finding in diagnosis.examine(installation) if not finding.is_fit]
        assert [finding.subject for finding in unfit if finding.subject != "directory"] == []

    def test_every_finding_against_a_machine_says_what_to_do(self, installation: Installation) -> None:
        unfit = [finding for finding in diagnosis.examine(installation) if finding.subject != "ports"]
        assert all(finding.advice for finding in unfit if not finding.is_fit)


def test_waiting_pauses_end(tmp_path: Path) -> None:
    service = ServiceProcess(a_service(a_program(tmp_path)), {}, tmp_path / "run", tmp_path / "log", 1)
    assert service.is_due
    service.start()
    wait_until(lambda: service.pid is None, 10)
    assert service.ended() == 0
    assert wait_until(lambda: service.is_due, 3)
