"""The addresses and folders of one local platform, chosen once and remembered."""

from __future__ import annotations

import ipaddress
import json
import socket
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from jobyard_cli.system.programs import run

from jobyard_local.errors import UnsupportedError
from jobyard_local.machine import free_port, is_free

PREFERRED_PORTS = {
    "airflow": 18080,
    "api": 16443,
    "controller-manager": 16444,
    "scheduler": 16445,
    "registry": 15000,
    "redis": 16379,
    "s3": 17070,
    "repo-server": 18081,
    "repo-server-metrics": 18082,
    "application-metrics": 18083,
    "applicationset-metrics": 18084,
    "applicationset-probe": 18085,
    "applicationset-webhook": 18086,
    "kwok": 18087,
    "kube-state-metrics": 18088,
    "kube-state-metrics-own": 18089,
    "kueue-webhook": 18090,
    "kueue-probe": 18091,
    "karpenter-metrics": 18093,
    "karpenter-probe": 18094,
    "prometheus": 19090,
    "airflow-for-pods": 18092,
    "airflow-log": 18793,
    "airflow-trigger-log": 18794,
}
KUBELET_PORT = 16450
SERVICE_NETWORK = "10.212.0.0/16"


@dataclass(frozen=True)
class Layout:
    """`host` is this machine as pods reach it. With a cluster of its own, the pods' `bridge` and `network` are here."""

    state: Path
    tools: Path
    ports: dict[str, int]
    host: str
    bridge: str = ""
    network: str = ""

    @property
    def embedded(self) -> bool:
        """Whether the cluster is the platform's own, on this machine."""
        return bool(self.bridge)

    @property
    def api_url(self) -> str:
        return f"https://127.0.0.1:{self.ports['api']}"

    @property
    def s3_url(self) -> str:
        return f"http://{self.host}:{self.ports['s3']}"

    @property
    def registry(self) -> str:
        # containerd trusts a registry without TLS on loopback alone, where the nodes on this machine find it.
        return f"{'127.0.0.1' if self.embedded else self.host}:{self.ports['registry']}"

    @property
    def airflow_url(self) -> str:
        return f"http://127.0.0.1:{self.ports['airflow']}"

    @property
    def prometheus_url(self) -> str:
        """Where pods and this machine reach the Prometheus of a cluster of the platform's own."""
        return f"http://{self.host}:{self.ports['prometheus']}"

    @property
    def airflow_url_for_pods(self) -> str:
        """The address at which pods reach an Airflow that they have to log in to."""
        return f"http://{self.host}:{self.ports['airflow-for-pods']}"

    @property
    def admin_kubeconfig(self) -> Path:
        return self.state / "kubeconfig" / "admin.yaml"

    @property
    def audit_log(self) -> Path:
        """What the teams' launchers asked of the API server, a line of JSON each; older files lie beside it."""
        return self.state / "audit" / "requests.log"

    def tool(self, name: str) -> str:
        """Return the path of one of the programs that `tools` built."""
        return str(self.tools / name)

    def check_ports(self) -> None:
        """Make sure that the ports are free, before the platform starts on a state that it left.

        Raises:
            UnsupportedError: some are taken; the state has addresses with these ports in it, so others won't do.
        """
        taken = [f"{port} ({name})" for name, port in self.ports.items() if not is_free(port)]
        if taken:
            advice = "stop that program, or run `jobyard local down --purge` and start again"
            raise UnsupportedError(f"another program listens on ports of this platform: {', '.join(taken)}; {advice}")

    def with_new_ports(self) -> Layout:
        """Return the layout with ports for what the platform had no part of when it was first started.

        Raises:
            UnsupportedError: there is no free port left.
        """
        new = {name: port for name, port in PREFERRED_PORTS.items() if name not in self.ports}
        return replace(self, ports={**self.ports, **_free_ports(new, self.ports.values())})

    def save(self) -> None:
        """Remember this layout, so that other commands find the platform."""
        self.state.mkdir(parents=True, exist_ok=True, mode=0o700)
        fields = {**asdict(self), "state": str(self.state), "tools": str(self.tools)}
        partial = self.state / "layout.json.partial"
        partial.write_text(json.dumps(fields, indent=2))
        partial.rename(self.state / "layout.json")

    @classmethod
    def load(cls, state: Path) -> Layout | None:
        """Return the saved layout, or None if it does not exist or cannot be read."""
        try:
            fields = json.loads((state / "layout.json").read_text())
            return cls(**{**fields, "state": Path(fields["state"]), "tools": Path(fields["tools"])})
        except (OSError, ValueError, TypeError, KeyError):
            return None

    @classmethod
    def choose(cls, state: Path, tools: Path, nodes: int) -> Layout:
        """Return free ports near the preferred ones, and a bridge and network that this machine does not use.

        Raises:
            UnsupportedError: there is no free port or network left.
        """
        kubelets = {f"kubelet-{number}": KUBELET_PORT + number for number in range(nodes)}
        index = _free_network()
        network = f"10.{213 + index}.0.0/16"
        host = str(ipaddress.ip_network(network)[1])
        return cls(state, tools, _free_ports({**PREFERRED_PORTS, **kubelets}), host, f"jobyard{index}", network)

    @classmethod
    def beside(cls, state: Path, tools: Path, host: str) -> Layout:
        """Return free ports for a platform whose cluster is elsewhere and reaches this machine at `host`.

        Raises:
            UnsupportedError: there is no free port left.
        """
        return cls(state, tools, _free_ports(PREFERRED_PORTS), host)


def _free_ports(preferred: Mapping[str, int], taken: Iterable[int] = ()) -> dict[str, int]:
    ports: dict[str, int] = {}
    for name, port in preferred.items():
        ports[name] = free_port(port, [*taken, *ports.values()])
    return ports


def own_address(server: str) -> str:
    """Return this machine's address that hosts near `server` (host name or address) can most likely reach.

    A server on loopback is a cluster in containers or virtual machines here; these reach the address of the default
    route. Connecting a UDP socket asks the kernel for the route and sends nothing.
    """
    address = _source_address(server)
    return _source_address("192.0.2.1") if ipaddress.ip_address(address).is_loopback else address


def _source_address(target: str) -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((target, 9))
        except OSError as error:
            raise UnsupportedError(
                f"cannot reach {target}: {error}; give the address at which pods reach this machine with --address"
            ) from error
        return str(probe.getsockname()[0])


def _free_network() -> int:
    routes = [
        ipaddress.ip_network(route["dst"])
        for route in json.loads(run(["ip", "-j", "-4", "route"]))
        if "/" in route["dst"]
    ]
    bridges = {link["ifname"] for link in json.loads(run(["ip", "-j", "link"]))}
    for index in range(16):
        network = ipaddress.ip_network(f"10.{213 + index}.0.0/16")
        if f"jobyard{index}" not in bridges and not any(network.overlaps(route) for route in routes):
            return index
    raise UnsupportedError("no free network between 10.213.0.0/16 and 10.228.0.0/16 for the pods")
