"""What the page says of its environment, and the bounds by which it calls a run late or an hour crowded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Settings:
    """The addresses are those of the start pages, without a slash at the end; without one the page has no such link."""

    environment: str
    airflow_url: str | None = None
    airflow_major: Literal[2, 3] = 3
    argocd_url: str | None = None
    argocd_namespace: str = "argocd"
    teams_read: Literal["own", "all"] = "all"
    retention: int = 90
    """Days that the page shows, the newest included."""
    late_after: int = 900
    """Seconds after its due time at which a scheduled run counts as started late."""
    crowded_after: int = 300
    """Seconds for which a pod waits for quota or a machine before its hour can count as crowded."""
