"""Karpenter's machines as the demo watches them: when each came, and when it went."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from jobyard_cli.system.errors import ProgramError
from jobyard_local import machine_watcher
from jobyard_local.machine_watcher import MachineWatcher

from tests.support.waiting import wait_until

JOINED = "2026-11-02T02:00:00Z"


class Kubectl:
    """Answers `get nodes` with one answer after the other, and from then on with the last."""

    def __init__(self, *answers: list[str] | None) -> None:
        self.once = self
        self._answers = itertools.chain(answers, itertools.repeat(answers[-1]))

    def json(self, *arguments: str) -> dict[str, Any]:
        assert arguments == ("get", "nodes", "--selector=karpenter.sh/nodepool")
        names = next(self._answers)
        if names is None:
            raise ProgramError("kubectl", "connection refused")
        return {"items": [node(name) for name in names]}


def node(name: str) -> dict[str, Any]:
    labels = {"jobyard.dev/node-group": "gpu", "node.kubernetes.io/instance-type": "g5.2xlarge"}
    return {"metadata": {"name": name, "creationTimestamp": JOINED, "labels": labels}}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(machine_watcher, "LOOK_SECONDS", 0.01)
    yield


def test_each_machine_has_come_and_those_that_went_have_gone() -> None:
    with MachineWatcher(Kubectl(["a"], ["a", "b"], ["b"])) as watcher:  # type: ignore[arg-type]
        wait_until(lambda: watcher.machines.keys() == {"a", "b"} and watcher.present == ["b"])
    gone, present = watcher.machines["a"], watcher.machines["b"]
    assert gone.joined == datetime(2026, 11, 2, 2, tzinfo=UTC)
    assert gone.seconds
    assert present.seconds is None
    assert (gone.node_group, gone.instance_type) == ("gpu", "g5.2xlarge")


def test_an_api_server_that_does_not_answer_takes_no_machine_away() -> None:
    with MachineWatcher(Kubectl(["a"], None, ["a", "b"])) as watcher:  # type: ignore[arg-type]
        wait_until(lambda: "b" in watcher.machines)
    assert watcher.present == ["a", "b"]
