"""Write the tree of errors into the docstring of jobyard_cli/errors.py. Run it after adding or renaming an error."""

from __future__ import annotations

import pkgutil
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parent
FILE = SCRIPTS / "jobyard_cli" / "errors.py"
ROOT = "JobyardError"
END = '"""'
AREAS = {
    "jobyard_cli.errors": "",
    "jobyard_cli.cli": "",
    "jobyard_cli.check": "team repository: check, chart, plan, upgrade, usage",
    "jobyard_cli.chart": "team repository: check, chart, plan, upgrade, usage",
    "jobyard_cli.plan": "team repository: check, chart, plan, upgrade, usage",
    "jobyard_cli.team": "team repository: check, chart, plan, upgrade, usage",
    "jobyard_cli.usage": "team repository: check, chart, plan, upgrade, usage",
    "jobyard_cli.importing": "team repository: check, chart, plan, upgrade, usage",
    "jobyard_cli.running": "runs on this machine: run",
    "jobyard_cli.runs": "runs in Airflow: runs, logs, trigger, backfill, clear",
    "jobyard_cli.platform": "platform repository and IAM",
    "jobyard_cli.iam": "platform repository and IAM",
    "jobyard_cli.images": "images",
    "jobyard_cli.release": "releases: compile, publish, wait",
    "jobyard_cli.sync": "releases: compile, publish, wait",
    "jobyard_cli.airflow": "services: Airflow, AWS, the git host",
    "jobyard_cli.aws": "services: Airflow, AWS, the git host",
    "jobyard_cli.merge_request": "services: Airflow, AWS, the git host",
    "jobyard_local": "local platform and demo",
}
"""Package to heading, in the order of the docstring."""
OTHERS = "programs, waiting and everything else"


def tree() -> str:
    """The tree as the docstring has it."""
    root = _load()
    lines, heading = [ROOT], ""
    for error in sorted(_children(root), key=_order):
        if (area := _area(error)) != heading:
            lines += ["", f"    -- {area}"]
            heading = area
        lines += _branch(error, 1)
    return "\n".join(lines)


def written(text: str) -> str:
    """The module's text with the tree of today."""
    start = text.index(f"\n{ROOT}\n") + 1
    return text[:start] + tree() + "\n" + text[text.index(END, start) :]


def _load() -> type[Exception]:
    """The root class, once every module that may declare an error is imported."""
    for name in ("jobyard_cli", "jobyard_local"):
        package = import_module(name)
        for module in pkgutil.walk_packages(package.__path__, f"{name}."):
            # These run when they are imported.
            if not module.name.endswith(("__main__", ".worker")):
                import_module(module.name)
    root: type[Exception] = getattr(import_module("jobyard_cli.errors"), ROOT)
    return root


def _children(error: type[Exception]) -> Iterator[type[Exception]]:
    """Subclasses of which it is the first base, without those that tests declare."""
    for child in error.__subclasses__():
        if child.__bases__[0] is error and child.__module__.startswith(("jobyard_cli.", "jobyard_local.")):
            yield child


def _branch(error: type[Exception], depth: int) -> Iterator[str]:
    mark = " (2)" if getattr(error, "exit_code", 1) == 2 else ""
    yield "    " * depth + error.__name__ + mark
    for child in sorted(_children(error), key=lambda child: child.__name__):
        yield from _branch(child, depth + 1)


def _area(error: type[Exception]) -> str:
    packages = [package for package in AREAS if error.__module__.startswith(package)]
    return AREAS[packages[0]] if packages else OTHERS


def _order(error: type[Exception]) -> tuple[int, str]:
    areas = [*dict.fromkeys(AREAS.values()), OTHERS]
    return areas.index(_area(error)), error.__name__


if __name__ == "__main__":
    sys.path[:0] = [str(SCRIPTS), str(SCRIPTS.parent / "dags")]
    FILE.write_text(written(FILE.read_text(encoding="utf-8")), encoding="utf-8")
