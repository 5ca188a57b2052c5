"""Where the machine keeps what is built once, and what runs on it: each directory of the user's that Jobyard writes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from platformdirs.unix import Unix


def cache_dir() -> Path:
    """Return the folder for what is built or fetched once (`JOBYARD_CACHE`, default `$XDG_CACHE_HOME/jobyard`)."""
    return (_path_in("JOBYARD_CACHE") or _directories().user_cache_path).absolute()


def state_dir(name: str = "local") -> Path:
    """Return the folder of one running platform's state (`JOBYARD_STATE`, default `$XDG_STATE_HOME/jobyard`)."""
    return (_path_in("JOBYARD_STATE") or _directories().user_state_path).absolute() / name


def _path_in(variable: str) -> Path | None:
    value = os.environ.get(variable)
    return Path(value) if value else None


def _directories() -> Unix:
    # The XDG directories on every system: the shell scripts `bootstrap.sh` and `ci/install.sh` know these places too.
    from platformdirs.unix import Unix

    return Unix("jobyard")
