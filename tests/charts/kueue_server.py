"""Kueue beside an API server of the tests, with its real webhooks."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import yaml
from jobyard_local.certificates import CertificateAuthority
from jobyard_local.kueue import GROUPS, USER, Kueue
from jobyard_local.processes import Supervisor

from tests.support.ports import free_ports
from tests.support.waiting import wait_until

TOKEN = "kueue"
"""Kueue's bearer token."""
TOKEN_LINE = f'{TOKEN},{USER},{TOKEN},"{",".join(GROUPS)}"\n'
"""Its line in the API server's file of tokens."""
NAME = "kueue"


class Server(Protocol):
    """What Kueue needs of an API server's fixture."""

    kubeconfig: Path

    def kubectl(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """One call as an administrator, whether it succeeds or not."""


class RunningKueue:
    """An API server with Kueue, which tests may stop and start again."""

    def __init__(self, server: Server, kueue: Kueue, state: Path) -> None:
        self.server = server
        self.kubectl = server.kubectl
        self._kueue = kueue
        self._kubeconfig = state / "kueue-client"
        self._supervisor = Supervisor(state / "kueue-process")

    def install(self) -> None:
        """Apply Kueue's kinds, rights and webhooks, and write its kubeconfig."""
        applied = self.kubectl("apply", "--server-side", "-f", "-", stdin=yaml.safe_dump_all(self._kueue.objects()))
        assert applied.returncode == 0, applied.stderr
        config = yaml.safe_load(self.server.kubeconfig.read_text())
        config["users"] = [{"name": user["name"], "user": {"token": TOKEN}} for user in config["users"]]
        self._kubeconfig.write_text(yaml.safe_dump(config))
        # A new kind is served a moment after its definition is there.
        wait_until(lambda: self.kubectl("get", "clusterqueues,localqueues,workloads", "-A").returncode == 0)

    def start(self) -> None:
        """Start it, and wait until it serves its webhooks."""
        self._supervisor.start(self._kueue.process(self._kubeconfig))

    def stop(self) -> None:
        """End it at once, as when its machine is gone."""
        self._supervisor.stop([NAME], grace=0)


@contextmanager
def with_kueue(programs: Path, state: Path, server: Server) -> Iterator[RunningKueue]:
    """Kueue beside this API server, whose state is in that folder and whose file of tokens has `TOKEN_LINE`."""
    webhook, probe = free_ports(2)
    kueue = Kueue(programs, state / "kueue", webhook, probe, CertificateAuthority(state / "pki"))
    running = RunningKueue(server, kueue, state)
    running.install()
    try:
        running.start()
        yield running
    finally:
        running.stop()
