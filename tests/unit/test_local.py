"""The parts of the local platform that need neither root nor the built programs."""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from jobyard_cli.system.errors import ProgramError
from jobyard_cli.system.programs import run, stream
from jobyard_local import control_plane, machine
from jobyard_local.certificates import CertificateAuthority, certificate_request
from jobyard_local.cluster import ExistingCluster, group, user
from jobyard_local.errors import (
    NotRunningError,
    PlatformBusyError,
    ProcessDiedError,
    ProcessNotReadyError,
    UnsupportedError,
)
from jobyard_local.kueue import SETTINGS, Kueue
from jobyard_local.layout import Layout, own_address
from jobyard_local.platform import Existing, LocalPlatform
from jobyard_local.processes import Process, Supervisor, listens
from jobyard_local.settings import Source

from tests.support.waiting import wait_until

FOREVER = "import time\nwhile True: time.sleep(60)"
LISTENING = "import socket, sys, time\ns = socket.create_server(('127.0.0.1', int(sys.argv[1])))\ntime.sleep(600)"
WITH_A_CHILD = f"import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', {FOREVER!r}]).wait()"


def python(program: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", program, *arguments]


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    made = Supervisor(tmp_path)
    yield made
    made.stop(made.names(), grace=0)


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def pid_of(supervisor: Supervisor, name: str) -> int:
    return int(json.loads((supervisor.run / f"{name}.json").read_text())["pid"])


class TestSupervisor:
    def test_start_returns_when_the_process_serves_and_stop_when_it_has_ended(
        self, supervisor: Supervisor, port: int
    ) -> None:
        process = Process("server", python(LISTENING, str(port)), ready=listens("127.0.0.1", port))
        supervisor.start(process)
        assert supervisor.alive("server")
        before = pid_of(supervisor, "server")
        supervisor.start(process)
        assert pid_of(supervisor, "server") == before
        supervisor.stop(["server"])
        assert not supervisor.alive("server")
        assert supervisor.names() == []

    def test_one_that_ends_while_starting_is_reported_with_the_end_of_its_log(self, supervisor: Supervisor) -> None:
        process = Process("broken", python("import sys; sys.exit('no such disk')"), ready=lambda: False)
        with pytest.raises(ProcessDiedError, match="broken ended while starting; the end of .*\n  no such disk"):
            supervisor.start(process)

    def test_one_that_never_serves_is_reported(self, supervisor: Supervisor, port: int) -> None:
        process = Process("deaf", python(FOREVER), ready=listens("127.0.0.1", port), timeout=0.3)
        with pytest.raises(ProcessNotReadyError, match="deaf did not answer within 0 s"):
            supervisor.start(process)

    def test_stop_ends_children_and_one_that_ignores_the_signal(self, supervisor: Supervisor) -> None:
        stubborn = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('set', flush=True)\n" + FOREVER
        log = supervisor.log("stubborn")
        supervisor.start(Process("stubborn", python(stubborn), ready=lambda: log.read_text() == "set\n"))
        supervisor.start(Process("parent", python(WITH_A_CHILD)))
        wait_until(lambda: children(pid_of(supervisor, "parent")))
        (child,) = children(pid_of(supervisor, "parent"))
        supervisor.stop(["stubborn", "parent"], grace=0.2)
        assert not supervisor.alive("stubborn")
        wait_until(lambda: not running(child))

    def test_a_child_of_one_that_was_killed_ends_before_the_next_start(self, supervisor: Supervisor) -> None:
        supervisor.start(Process("parent", python(WITH_A_CHILD)))
        wait_until(lambda: children(pid_of(supervisor, "parent")))
        (child,) = children(pid_of(supervisor, "parent"))
        os.kill(pid_of(supervisor, "parent"), signal.SIGKILL)
        wait_until(lambda: not supervisor.alive("parent"))
        assert running(child)
        supervisor.start(Process("parent", python(FOREVER)))
        assert not running(child)

    def test_a_stranger_that_got_the_same_id_is_neither_taken_for_ours_nor_ended(self, supervisor: Supervisor) -> None:
        with subprocess.Popen(python(FOREVER), start_new_session=True) as stranger:
            supervisor.run.mkdir(parents=True)
            record = {"pid": stranger.pid, "started": "1"}
            (supervisor.run / "etcd.json").write_text(json.dumps(record))
            assert not supervisor.alive("etcd")
            supervisor.stop(["etcd"], grace=0)
            assert stranger.poll() is None
            stranger.kill()

    def test_one_that_ended_before_it_was_looked_at_does_not_live(self, supervisor: Supervisor) -> None:
        with subprocess.Popen(python("")) as ended:
            ended.wait()
        supervisor.run.mkdir(parents=True)
        (supervisor.run / "etcd.json").write_text(json.dumps({"pid": ended.pid, "started": None}))
        assert not supervisor.alive("etcd")

    def test_a_record_that_cannot_be_read_is_no_process(self, supervisor: Supervisor) -> None:
        supervisor.run.mkdir(parents=True)
        (supervisor.run / "etcd.json").write_text("{")
        assert not supervisor.alive("etcd")


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class TestMachine:
    def test_a_port_that_is_taken_is_passed_over(self, port: int) -> None:
        with socket.create_server(("127.0.0.1", port)):
            assert not machine.is_free(port)
            assert machine.free_port(port, []) > port
        assert machine.free_port(port, []) == port
        assert machine.free_port(port, [port]) > port

    def test_another_system_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("platform.system", lambda: "Darwin")
        with pytest.raises(
            UnsupportedError, match=r"it needs Linux \(this is Darwin\); a Linux virtual machine suffices"
        ):
            machine.check()

    def test_all_that_is_missing_is_said_at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("platform.machine", lambda: "aarch64")
        monkeypatch.setattr("os.geteuid", lambda: 1000)
        monkeypatch.setattr("shutil.which", lambda _name: None)
        with pytest.raises(UnsupportedError) as caught:
            machine.check()
        message = str(caught.value)
        assert "it needs an x86-64 processor (this is aarch64)" in message
        assert "it needs root, because the kubelet starts containers" in message
        assert "it lacks buildah, ca-certificates, docker-registry" in message
        assert "and apt-get, which would install them" in message

    def test_beside_an_existing_cluster_root_is_needed_only_to_install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("os.geteuid", lambda: 1000)
        monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
        machine.check(embedded=False)
        monkeypatch.setattr("shutil.which", lambda name: None if name == "redis-server" else f"/usr/bin/{name}")
        with pytest.raises(UnsupportedError, match="it needs root, to install packages"):
            machine.check(embedded=False)


class TestAudit:
    @pytest.fixture
    def command(self, tmp_path: Path) -> list[str]:
        """The API server's command line."""
        layout = Layout(tmp_path, tmp_path, dict.fromkeys(("api", "controller-manager", "scheduler"), 1), "10.213.0.1")
        processes = control_plane.processes(layout, CertificateAuthority(tmp_path / "pki"))
        [server] = [process for process in processes if process.name == "kube-apiserver"]
        return list(server.command)

    def test_the_log_is_in_the_state_and_cannot_fill_the_disk(self, command: list[str], tmp_path: Path) -> None:
        assert [option for option in command if option.startswith("--audit")] == [
            f"--audit-policy-file={tmp_path}/audit-policy.yaml",
            f"--audit-log-path={tmp_path}/audit/requests.log",
            "--audit-log-maxsize=10",
            "--audit-log-maxbackup=2",
        ]

    def test_the_policy_leaves_out_who_is_no_launcher_and_logs_each_request_once(
        self, command: list[str], tmp_path: Path
    ) -> None:
        assert yaml.safe_load((tmp_path / "audit-policy.yaml").read_text()) == {
            "apiVersion": "audit.k8s.io/v1",
            "kind": "Policy",
            "omitStages": ["RequestReceived", "ResponseStarted"],
            "rules": [
                {
                    "level": "None",
                    "userGroups": [
                        "system:masters",
                        "system:nodes",
                        "system:serviceaccounts",
                        "system:unauthenticated",
                    ],
                },
                {
                    "level": "None",
                    "users": [
                        "system:kube-controller-manager",
                        "system:kube-scheduler",
                        "jobyard-prometheus",
                        "jobyard-kube-state-metrics",
                    ],
                },
                {"level": "Metadata"},
            ],
        }

    def test_the_admission_that_eks_has_on_is_on(self, command: list[str]) -> None:
        assert "--enable-admission-plugins=NodeRestriction,ExtendedResourceToleration" in command


class TestLayout:
    def test_what_is_saved_is_loaded(self, tmp_path: Path) -> None:
        layout = Layout(
            tmp_path / "state", tmp_path / "tools", {"s3": 17070}, "10.213.0.1", "jobyard0", "10.213.0.0/16"
        )
        layout.save()
        assert Layout.load(layout.state) == layout
        assert layout.embedded
        assert layout.s3_url == "http://10.213.0.1:17070"

    @pytest.mark.parametrize("text", ["", "{", "[]", '{"state": "x"}', "null"])
    def test_a_damaged_file_is_as_none(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "layout.json").write_text(text)
        assert Layout.load(tmp_path) is None

    def test_a_port_that_somebody_took_meanwhile_is_named(self, tmp_path: Path, port: int) -> None:
        layout = Layout(tmp_path, tmp_path, {"s3": port}, "10.213.0.1")
        layout.check_ports()
        with socket.create_server(("127.0.0.1", port)), pytest.raises(UnsupportedError, match=rf"{port} \(s3\)"):
            layout.check_ports()

    def test_one_of_an_earlier_version_gets_the_ports_that_are_new(self, tmp_path: Path) -> None:
        newest = Layout.beside(tmp_path, tmp_path, "192.0.2.1")
        earlier = {name: port for name, port in newest.ports.items() if name != "prometheus"}
        updated = replace(newest, ports=earlier).with_new_ports()
        assert {name: updated.ports[name] for name in earlier} == earlier
        assert updated.ports["prometheus"] not in earlier.values()
        assert newest.with_new_ports() == newest

    def test_two_layouts_share_no_port(self, tmp_path: Path) -> None:
        ports = list(Layout.beside(tmp_path, tmp_path, "192.0.2.1").ports.values())
        assert len(set(ports)) == len(ports)

    def test_the_address_on_the_way_to_a_cluster_is_one_of_this_machine(self) -> None:
        with socket.create_server((own_address("127.0.0.1"), 0)):
            assert own_address("127.0.0.1") != "127.0.0.1"

    def test_a_host_that_is_not_there_asks_for_the_address(self) -> None:
        with pytest.raises(UnsupportedError, match="give the address at which pods reach this machine with --address"):
            own_address("no-such-host.invalid")


class TestCertificates:
    def test_kubernetes_finds_user_and_groups_in_the_subject(self, tmp_path: Path) -> None:
        authority = CertificateAuthority(tmp_path)
        pair = authority.issue("launcher", user("risk"), [group("risk")], hosts=["127.0.0.1", "localhost"])
        certificate = x509.load_pem_x509_certificate(pair.certificate.read_bytes())
        root = x509.load_pem_x509_certificate(authority.root.certificate.read_bytes())
        certificate.verify_directly_issued_by(root)
        assert certificate.subject.rfc4514_string() == "CN=airflow-risk,O=jobyard:risk:launchers"
        assert pair.key.stat().st_mode & 0o077 == 0

    def test_the_same_folder_is_the_same_authority(self, tmp_path: Path) -> None:
        before = CertificateAuthority(tmp_path).root.certificate.read_bytes()
        assert CertificateAuthority(tmp_path).root.certificate.read_bytes() == before

    def test_a_request_carries_the_same_subject(self) -> None:
        key, pem = certificate_request(user("risk"), [group("risk")])
        request = x509.load_pem_x509_csr(pem)
        assert request.is_signature_valid
        assert request.subject.rfc4514_string() == "CN=airflow-risk,O=jobyard:risk:launchers"
        assert b"PRIVATE KEY" in key
        assert base64.b64encode(pem)


class TestPlatform:
    def test_one_that_was_never_started_says_how_to(self, tmp_path: Path) -> None:
        with pytest.raises(NotRunningError, match="start it with `jobyard local up --name state`"):
            _ = LocalPlatform(tmp_path / "state", Source.find()).layout

    def test_two_commands_cannot_have_it_at_once(self, tmp_path: Path) -> None:
        one, other = (LocalPlatform(tmp_path / "state", Source.find()) for _ in range(2))
        with (
            one.claim(),
            pytest.raises(PlatformBusyError, match="another jobyard command uses the platform 'state'"),
            other.claim(),
        ):
            pass
        with other.claim():
            pass

    def test_down_where_nothing_is_does_nothing(self, tmp_path: Path) -> None:
        platform = LocalPlatform(tmp_path / "state", Source.find())
        platform.down(purge=True)
        assert platform.processes() == {}

    def test_a_platform_is_embedded_unless_it_is_given_a_cluster(self, tmp_path: Path) -> None:
        platform = LocalPlatform(tmp_path, Source.find())
        assert platform.is_embedded()
        assert not platform.is_embedded(Existing(tmp_path / "kubeconfig"))
        Layout(tmp_path, tmp_path, {}, "192.0.2.1").save()
        assert not platform.is_embedded()


class TestQueueing:
    @pytest.mark.parametrize(
        ("kinds", "queueing"),
        [
            ("customresourcedefinition.apiextensions.k8s.io/nodepools.karpenter.sh\n", "none"),
            ("customresourcedefinition.apiextensions.k8s.io/clusterqueues.kueue.x-k8s.io\n", "kueue"),
        ],
    )
    def test_an_existing_cluster_has_queues_where_it_has_kueue(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kinds: str, queueing: str
    ) -> None:
        cluster = ExistingCluster(Layout(tmp_path, tmp_path, {}, "192.0.2.1"))
        monkeypatch.setattr(cluster, "kubectl", lambda *_: kinds)
        assert cluster.queueing == queueing

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        """Kueue's own, with what its process reads."""
        (tmp_path / "kueue").touch()
        (tmp_path / "kubeconfig").write_text("kind: Config\n")
        kueue = Kueue(tmp_path, tmp_path / "state", 1, 2, CertificateAuthority(tmp_path / "pki"))
        kueue.process(tmp_path / "kubeconfig")
        return kueue.folder

    def test_kueue_runs_with_the_settings_of_every_cluster(self, folder: Path) -> None:
        configuration = yaml.safe_load((folder / "configuration.yaml").read_text())
        text = yaml.safe_load((SETTINGS / "manager-config.yaml").read_text())["data"]["controller_manager_config.yaml"]
        of_every_cluster = yaml.safe_load(text)
        for key in ("integrations", "managedJobsNamespaceSelector", "fairSharing"):
            assert configuration[key] == of_every_cluster[key]
        assert configuration["integrations"] == {"frameworks": ["pod"]}

    def test_nobody_else_reads_what_kueue_logs_in_with(self, folder: Path) -> None:
        keys = [folder / "kubeconfig", *folder.rglob("tls.key")]
        assert [path.stat().st_mode & 0o077 for path in keys] == [0, 0]


class TestShell:
    def test_a_failed_program_is_reported_with_its_output(self) -> None:
        with pytest.raises(ProgramError, match="baking failed:\n  no flour"):
            run(python("import sys; sys.exit('no flour')"), what="baking")

    def test_a_streamed_program_hands_over_its_lines(self, tmp_path: Path) -> None:
        lines: list[str] = []
        program = "import sys\nprint('one')\nprint('two', file=sys.stderr)\nsys.exit(int(sys.argv[1]))"
        stream(python("import sys; print('one')"), lines.append, what="it", environment={}, cwd=tmp_path)
        assert lines == ["one"]
        with pytest.raises(ProgramError, match="it failed"):
            stream(python(program, "3"), lines.append, what="it", environment={}, cwd=tmp_path)
        assert sorted(lines) == ["one", "one", "two"]
