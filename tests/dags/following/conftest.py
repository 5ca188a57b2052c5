"""A server, the kubeconfig that leads to it, and pauses that pass at once."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from api_server import ApiServer
from following_support import write_kubeconfig
from jobyard.following import follow, logs, queue, reflector, shared, watch


@pytest.fixture
def server() -> Iterator[ApiServer]:
    running = ApiServer()
    yield running
    running.close()


@pytest.fixture
def kubeconfig(server: ApiServer, tmp_path: Path) -> str:
    """A kubeconfig with one context, `risk`, and its token `first`."""
    return write_kubeconfig(tmp_path / "kubeconfig", server.url, {"risk": {"token": "first"}})


PAUSES = [
    (reflector, "FIRST_PAUSE", 0.01),
    (reflector, "LONGEST_PAUSE", 0.04),
    (reflector, "POLL_SECONDS", 0.03),
    (watch, "CONFIRM_SECONDS", 0.05),
    (watch, "POSITION_SECONDS", 0.0),
    (queue, "SETTLE_SECONDS", 0.0),
    (logs, "REOPEN_SECONDS", 0.01),
    (logs, "LONGEST_PAUSE", 0.04),
    (logs, "END_SECONDS", 0.03),
    (follow, "LONGEST_WAIT", 0.03),
    (follow, "ASK_SECONDS", 0.03),
    (follow, "GONE_SECONDS", 0.2),
    (follow, "DRAIN_SECONDS", 1.0),
    (shared, "LEAST_SECONDS", 0.0),
    (shared, "SWEEP_SECONDS", 0.02),
    (shared, "UNFOLLOWED_SECONDS", 0.05),
]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Every pause is a hundredth of a second or so."""
    for module, name, seconds in PAUSES:
        monkeypatch.setattr(module, name, seconds)
    monkeypatch.setattr(logs, "PAUSES", (0.01, 0.02, 0.03))

    def change(module: Any, **values: Any) -> None:
        for name, value in values.items():
            monkeypatch.setattr(module, name, value)

    return change
