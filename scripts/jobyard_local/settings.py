"""Where the local platform keeps what it builds and what it runs, and what it is made of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

REAL_NODE_GROUPS = ("default", "high-cpu")
"""Node groups that get a kubelet of their own, so pods really run there; kwok simulates the others."""


@dataclass(frozen=True)
class Source:
    """The checkout of this repository that the platform is made from."""

    root: Path

    @classmethod
    def find(cls) -> Source:
        """The checkout this module belongs to (an editable install; a wheel carries no charts)."""
        return cls(Path(__file__).resolve().parents[2])

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
