"""The cluster's real nodes, each a containerd and a kubelet.

A node label has one value a key, so one real node could play two node groups only by being relabelled while pods run,
which would make "which node did it land on" meaningless. Each real node group therefore gets a kubelet, and each
kubelet a containerd, because a kubelet removes every container it did not start itself.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import tarfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import yaml
from jobyard_cli.system.programs import run

from jobyard_local import cgroups
from jobyard_local.certificates import CertificateAuthority
from jobyard_local.control_plane import write_kubeconfig
from jobyard_local.layout import Layout
from jobyard_local.machine import CNI_PLUGINS
from jobyard_local.processes import Process, listens_on_socket

SHIM = "containerd-shim-runc-v2"
PAUSE_IMAGE = "jobyard.local/pause:1"
TYPE_LABEL = "node.kubernetes.io/instance-type"
HOUSEKEEPING = "500ms"
"""How often the kubelet reads each cgroup. docs/sampling.md has what the default of 10 seconds misses."""


@dataclass(frozen=True)
class RealNode:
    """The kubelet that serves one node group; `number` tells the platform's kubelets apart."""

    layout: Layout
    number: int
    group: str
    labels: Mapping[str, str]
    taints: list[Mapping[str, str]]

    @property
    def name(self) -> str:
        return f"local-{self.group}"

    @property
    def folder(self) -> Path:
        return self.layout.state / "nodes" / self.name

    @property
    def socket(self) -> Path:
        return self.folder / "containerd.sock"

    @property
    def cgroup(self) -> str:
        """The parent cgroup of the node's pods; its name carries the bridge's, so that two platforms stay apart."""
        return f"{self.layout.bridge}/{self.name}"

    @property
    def address(self) -> str:
        """Where the kubelet serves."""
        return f"{self.layout.host}:{self.layout.ports[f'kubelet-{self.number}']}"

    def processes(self, authority: CertificateAuthority) -> list[Process]:
        """Write the configuration and return containerd and kubelet, in the order in which they start."""
        self.folder.mkdir(parents=True, exist_ok=True)
        cgroups.create(self.cgroup)
        _write_network(self)
        containerd = self.folder / "containerd.toml"
        containerd.write_text(_containerd_config(self))
        kubelet = self.folder / "kubelet.yaml"
        kubelet.write_text(yaml.safe_dump(_kubelet_config(self, authority)))
        client = write_kubeconfig(self.layout, authority, self.name, f"system:node:{self.name}", ["system:nodes"])
        return [
            Process(f"containerd-{self.group}", ["containerd", "--config", str(containerd)], ready=self._serves),
            Process(f"kubelet-{self.group}", self._kubelet_command(kubelet, client), environment=self._environment),
        ]

    def memory_peaks(self) -> Iterator[tuple[str, int]]:
        """Yield UID and peak memory use so far, in bytes, of every pod on the node."""
        return cgroups.memory_peaks(self.cgroup)

    def _serves(self) -> bool:
        if not listens_on_socket(self.socket)():
            return False
        _import_pause(self)
        return True

    @property
    def _environment(self) -> dict[str, str]:
        """By which the kubelet's cAdvisor finds the node's containerd."""
        return {"CONTAINERD_ADDRESS": str(self.socket)}

    def _kubelet_command(self, config: Path, kubeconfig: Path) -> list[str]:
        labels = ",".join(f"{key}={value}" for key, value in self.labels.items())
        return [
            self.layout.tool("kubelet"),
            f"--config={config}",
            f"--kubeconfig={kubeconfig}",
            f"--hostname-override={self.name}",
            f"--root-dir={self.folder / 'kubelet'}",
            f"--node-ip={self.layout.host}",
            f"--node-labels={labels}",
            f"--housekeeping-interval={HOUSEKEEPING}",
        ]


def machine_labels(group: Mapping[str, Any]) -> dict[str, str]:
    """Return the labels of a node of the group: the catalogue's, and those that say which machine it stands for.

    AWS' cloud provider and Karpenter give a node the latter, which its price depends on.
    """
    return {
        **group["labels"],
        TYPE_LABEL: group["instanceTypes"][0],
        "karpenter.sh/capacity-type": group["capacityType"],
    }


def _write_network(node: RealNode) -> None:
    prefix = node.layout.network.removesuffix(".0.0/16")
    addresses = {
        "subnet": node.layout.network,
        "rangeStart": f"{prefix}.{node.number + 1}.1",
        "rangeEnd": f"{prefix}.{node.number + 1}.254",
        "gateway": node.layout.host,
    }
    bridge = {
        "type": "bridge",
        "bridge": node.layout.bridge,
        "isGateway": True,
        "isDefaultGateway": True,
        "ipam": {"type": "host-local", "ranges": [[addresses]], "dataDir": str(node.folder / "addresses")},
    }
    folder = node.folder / "cni"
    folder.mkdir(exist_ok=True)
    network = {"cniVersion": "1.0.0", "name": node.layout.bridge, "plugins": [bridge]}
    (folder / "10-bridge.conflist").write_text(json.dumps(network))


def _containerd_config(node: RealNode) -> str:
    return f"""\
version = 2
root = "{node.folder / "containerd"}"
state = "{node.folder / "containerd-run"}"
[grpc]
  address = "{node.socket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE_IMAGE}"
  # Without CAP_SYS_RESOURCE, as in many containers and virtual machines, lowering the score is refused.
  restrict_oom_score_adj = true
  # So that what a killed pod leaves behind is found and removed with the rest of the state.
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{CNI_PLUGINS}"
    conf_dir = "{node.folder / "cni"}"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
"""


def _kubelet_config(node: RealNode, authority: CertificateAuthority) -> dict[str, Any]:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    serving = authority.issue(f"serving-{node.name}", f"system:node:{node.name}", ["system:nodes"], [node.layout.host])
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(authority.root.certificate)},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(serving.certificate),
        "tlsPrivateKeyFile": str(serving.key),
        "address": node.layout.host,
        "port": node.layout.ports[f"kubelet-{node.number}"],
        "readOnlyPort": 0,
        "healthzPort": 0,
        "containerRuntimeEndpoint": f"unix://{node.socket}",
        # In the folder for all, each kubelet would take the logs of the others' pods for leftovers, and delete them.
        "podLogsDir": str(node.folder / "pod-logs"),
        # No DNS runs there: pods reach this machine alone, by address. Without the setting every pod gets a warning.
        "clusterDNS": [node.layout.host],
        "clusterDomain": "cluster.local",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{node.cgroup}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "enforceNodeAllocatable": [],
        # The machine's memory is shared by the real nodes and what else runs here: each offers a third.
        "systemReserved": {"memory": str(memory * 2 // 3)},
        # A laptop's disk is often nearly full; a pod must not be evicted for that.
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        # Never: on a disk that is 85 % full it would delete the sandbox's image, which no registry has.
        "imageGCHighThresholdPercent": 100,
        "registerWithTaints": [dict(taint) for taint in node.taints],
        "serializeImagePulls": False,
        "nodeStatusUpdateFrequency": "5s",
    }


def remove_containers(node: RealNode) -> None:
    """End every container that a node left behind (they outlive containerd), and take away its mounts and cgroups."""
    deadline = time.monotonic() + 60
    while (pids := cgroups.pids(node.cgroup) | _shims(node)) and time.monotonic() < deadline:
        for pid in pids:
            _kill(pid)
        time.sleep(0.05)
    _unmount_below(node.folder)
    cgroups.remove(node.cgroup)


def _shims(node: RealNode) -> set[int]:
    """Return the containerd shims, one a container; each has containerd's socket on its command line."""
    # A process without a command line is the kernel's, or has just ended.
    commands = {process.pid: process.info["cmdline"] or [""] for process in psutil.process_iter(["cmdline"])}
    return {pid for pid, words in commands.items() if words[0].endswith(SHIM) and str(node.socket) in words}


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _unmount_below(folder: Path) -> None:
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for mount in reversed([mount for mount in mounts if mount.startswith(f"{folder}/")]):
        run(["umount", "--lazy", mount], what=f"unmounting {mount}")


def _import_pause(node: RealNode) -> None:
    """Give the node the image that holds a pod's network open, made here because no registry of images is reachable."""
    context = ["ctr", "--address", str(node.socket), "--namespace", "k8s.io", "images"]
    if PAUSE_IMAGE in run([*context, "list", "--quiet"], what="listing the node's images"):
        return
    archive = node.folder / "pause.tar"
    archive.write_bytes(_pause_archive(Path(node.layout.tool("pause")).read_bytes()))
    run([*context, "import", str(archive)], what="importing the pause image")


def _pause_archive(program: bytes) -> bytes:
    """Return a `docker save` archive of an image that holds this one program."""
    layer = _tar({"pause": program})
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Entrypoint": ["/pause"], "User": "65535:65535"},
    }
    manifest = [{"Config": "config.json", "RepoTags": [PAUSE_IMAGE], "Layers": ["layer.tar"]}]
    rootfs = {"type": "layers", "diff_ids": [f"sha256:{_sha256(layer)}"]}
    files = {"config.json": {**config, "rootfs": rootfs}, "manifest.json": manifest}
    return _tar({"layer.tar": layer, **{name: json.dumps(value).encode() for name, value in files.items()}})


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _tar(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o755
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
