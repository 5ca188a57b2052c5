"""Watches the pods of a namespace: where each ran, for how long, and the most memory it held."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import requests

from jobyard_cli.local.certificates import CertificateAuthority
from jobyard_cli.local.layout import Layout
from jobyard_cli.local.nodes import RealNode

SAMPLE_SECONDS = 0.1


@dataclass
class PodUsage:
    """What one pod used; `peak_bytes` is the kernel's own high-water mark of its cgroup, file cache included."""

    uid: str
    name: str
    job: str
    task: str
    node: str = ""
    phase: str = ""
    started: datetime | None = None
    finished: datetime | None = None
    peak_bytes: int = 0

    @property
    def seconds(self) -> float | None:
        """From the container's start to its end, as the kubelet reports them (whole seconds)."""
        if self.started is None or self.finished is None:
            return None
        return (self.finished - self.started).total_seconds()


class UsageWatcher:
    """Collects while it is entered; `pods` has the result, by pod UID."""

    def __init__(self, layout: Layout, authority: CertificateAuthority, nodes: list[RealNode], namespace: str) -> None:
        self.pods: dict[str, PodUsage] = {}
        self._url = f"{layout.api_url}/api/v1/namespaces/{namespace}/pods"
        self._session = requests.Session()
        # Else REQUESTS_CA_BUNDLE, where it is set, wins over the authority below.
        self._session.trust_env = False
        self._session.verify = str(authority.root.certificate)
        self._session.cert = (str(authority.folder / "admin.crt"), str(authority.folder / "admin.key"))
        self._nodes = nodes
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._watch, self._sample)]

    def __enter__(self) -> UsageWatcher:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=5)

    def _watch(self) -> None:
        while not self._stop.is_set():
            try:
                parameters: dict[str, str | int] = {"watch": "true", "timeoutSeconds": 3}
                with self._session.get(self._url, params=parameters, stream=True, timeout=10) as answer:
                    for line in answer.iter_lines():
                        self._note(json.loads(line)["object"])
            except (requests.RequestException, ValueError, KeyError):
                time.sleep(SAMPLE_SECONDS)

    def _note(self, pod: dict[str, Any]) -> None:
        metadata, status = pod["metadata"], pod.get("status", {})
        labels = metadata.get("labels", {})
        usage = self.pods.setdefault(
            metadata["uid"],
            PodUsage(
                metadata["uid"],
                metadata["name"],
                labels.get("jobyard.dev/job", ""),
                labels.get("jobyard.dev/task", ""),
            ),
        )
        usage.node = pod["spec"].get("nodeName", usage.node)
        usage.phase = status.get("phase", usage.phase)
        for container in status.get("containerStatuses", []):
            ended = container.get("state", {}).get("terminated")
            if ended:
                usage.started, usage.finished = _time(ended["startedAt"]), _time(ended["finishedAt"])

    def _sample(self) -> None:
        while not self._stop.wait(SAMPLE_SECONDS):
            for node in self._nodes:
                for uid, peak in node.memory_peaks():
                    if usage := self.pods.get(uid):
                        usage.peak_bytes = max(usage.peak_bytes, peak)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
