"""Where the machine keeps what is built once, and what runs on it."""

from __future__ import annotations

import os
from pathlib import Path


def cache_dir() -> Path:
    """What is built once and kept, keyed by its pins (`JOBYARD_CACHE`, default `~/.cache/jobyard`)."""
    default = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "jobyard"
    return Path(os.environ.get("JOBYARD_CACHE", default)).absolute()


def state_dir(name: str = "local") -> Path:
    """What one running platform owns (`JOBYARD_STATE`, default `~/.local/state/jobyard`), one folder a platform."""
    default = Path(os.environ.get("XDG_STATE_HOME", Path.home() / ".local" / "state")) / "jobyard"
    return Path(os.environ.get("JOBYARD_STATE", default)).absolute() / name
