"""The library MWAA imports: a team's release (`<team>/jobs.json`) becomes its Airflow DAGs.

In the bucket each version of the library is a folder of its own beside this file, and `versions.json` names them, the
newest first. MWAA copies the bucket file by file, so a version may be here in part: the newest that is here whole is
imported, and no process ever has modules of two. This file is the one that all versions share; it imports none of
them before it has chosen, and none before a loader calls: the command line uses `limits` and `validation`, and has no
Airflow. Where there is no `versions.json`, as in the repository, the library is beside this file.
"""

import json
from importlib import import_module
from pathlib import Path
from typing import Any


def _newest(versions: list[dict[str, Any]]) -> str:
    for version in versions:
        folder = HERE / version["folder"]
        if all(_size(folder / name) == size for name, size in version["files"].items()):
            return str(version["folder"])
    raise ImportError(f"no version of the library that {INDEX} names is here whole")


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return -1


HERE = Path(__file__).parent
INDEX = HERE / "versions.json"
VERSION = _newest(json.loads(INDEX.read_bytes())["versions"]) if INDEX.is_file() else ""
"""Folder of the version, beside this file."""

__path__ = [str(HERE / VERSION)]


def load(file: str) -> dict[str, Any]:
    """Return the DAGs of the team whose loader `file` is, by DAG id; see `jobyard.loader`."""
    found: dict[str, Any] = import_module("jobyard.loader").load(file)
    return found


__all__ = ["load"]
