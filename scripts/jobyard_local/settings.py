"""Where the local platform keeps what it builds and what it runs, and what it is made of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from jobyard_local.errors import LocalPlatformError

REAL_NODE_GROUPS = ("default", "high-cpu")
"""Node groups that get a kubelet of their own, so pods really run there; the others have simulated machines."""


class NoCheckoutError(LocalPlatformError):
    """The local platform is made from files that no wheel has."""

    def __init__(self) -> None:
        super().__init__("the local platform needs a git clone of Jobyard's repository; run `make demo` in it")


@dataclass(frozen=True)
class Source:
    """The checkout of this repository that the platform is made from."""

    root: Path

    @classmethod
    def find(cls) -> Source:
        """Return the checkout of this module (an editable install; a wheel carries no charts).

        Raises:
            NoCheckoutError: this module was installed from a wheel.
        """
        root = Path(__file__).resolve().parents[2]
        if not (root / "charts").is_dir():
            raise NoCheckoutError
        return cls(root)

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
