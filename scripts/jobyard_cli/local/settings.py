"""Where the local platform keeps what it builds and what it runs, and what it is made of."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

AIRFLOW_VERSION = "3.3.1"
"""The newest version that MWAA offers; `values/mwaa/` holds the pins of each supported one."""

REAL_NODE_GROUPS = ("default", "high-cpu")
"""Node groups that get a kubelet of their own, so pods really run there; kwok simulates the others."""


def cache_dir() -> Path:
    """What is built once and kept, keyed by its pins (`JOBYARD_CACHE`, default `~/.cache/jobyard`)."""
    default = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "jobyard"
    return Path(os.environ.get("JOBYARD_CACHE", default)).absolute()


def state_dir(name: str = "local") -> Path:
    """What one running platform owns (`JOBYARD_STATE`, default `~/.local/state/jobyard`), one folder a platform."""
    default = Path(os.environ.get("XDG_STATE_HOME", Path.home() / ".local" / "state")) / "jobyard"
    return Path(os.environ.get("JOBYARD_STATE", default)).absolute() / name


@dataclass(frozen=True)
class Source:
    """The checkout of this repository that the platform is made from."""

    root: Path

    @classmethod
    def find(cls) -> Source:
        """The checkout this module belongs to (an editable install; a wheel carries no charts)."""
        return cls(Path(__file__).resolve().parents[3])

    @property
    def charts(self) -> Path:
        return self.root / "charts"

    @property
    def dags(self) -> Path:
        return self.root / "dags"

    @property
    def values(self) -> Path:
        return self.root / "values"

    @property
    def mwaa(self) -> Path:
        return self.values / "mwaa"
