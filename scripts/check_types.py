"""Type-checks every part with mypy, what imports Airflow in an environment that has it."""

from __future__ import annotations

import os
import subprocess
import sys

from jobyard_cli.system.folders import cache_dir
from jobyard_local import airflow
from jobyard_local.settings import Source

HERE = ("scripts", "hooks/pre_gen_project.py", "images", "tests", "benchmarks")
WORKER = "scripts/jobyard_cli/airflow/dags/worker.py"
LINKED = "scripts/jobyard_cli/team/examples"
"""An example has a link to its image, whose modules are checked where they are."""
WITH_AIRFLOW = ("dags/jobyard", "benchmarks/in_airflow", WORKER)


def mypy(*arguments: str) -> bool:
    """Whether mypy found nothing; it prints what it finds."""
    return subprocess.run([sys.executable, "-m", "mypy", "--no-error-summary", *arguments], check=False).returncode == 0


def main() -> int:
    """Exit code 0 where nothing is found."""
    source = Source.find()
    installed = airflow.environment(source, cache_dir(), print)
    os.chdir(source.root)
    found = [
        # tests/dags is one source for three Airflows, whose types differ.
        not mypy(
            *HERE,
            *("--exclude", "^tests/dags/", "--exclude", "^benchmarks/in_airflow/"),
            *("--exclude", f"^{WORKER}$", "--exclude", f"^{LINKED}/"),
        ),
        not mypy(*WITH_AIRFLOW, f"--python-executable={installed / 'bin' / 'python'}"),
    ]
    return int(any(found))


if __name__ == "__main__":
    sys.exit(main())
