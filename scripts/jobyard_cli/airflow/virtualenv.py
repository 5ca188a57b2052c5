"""Virtual environments with an Airflow that MWAA offers, under MWAA's pins; made once and kept."""

from __future__ import annotations

import hashlib
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from jobyard_cli.system.locks import one_builder
from jobyard_cli.system.programs import Report, run

INSTALLED = "installed"
"""A file in an environment that is complete; one whose installation was interrupted is made again."""

AIRFLOW_VERSION = "3.3.1"
"""The newest version that MWAA offers; `values/mwaa/` holds the pins of each supported one."""


def environment(mwaa: Path, cache: Path, report: Report, version: str, extra: Sequence[str] = ()) -> Path:
    """Return an environment with this Airflow and `extra` packages, under the pins of `mwaa/<version>/`.

    Raises:
        ProgramError: the installation failed.
    """
    pins = mwaa / version
    digest = hashlib.sha256(repr((sys.version, extra)).encode())
    for name in ("constraints.txt", "requirements.txt"):
        digest.update((pins / name).read_bytes())
    target = cache / "airflow" / f"{version}-{digest.hexdigest()[:12]}"
    with one_builder(target.with_name(f"{target.name}.lock")):
        if not (target / INSTALLED).exists():
            report(f"installing Airflow {version} with MWAA's pins")
            shutil.rmtree(target, ignore_errors=True)
            _install(target, pins, [f"apache-airflow=={version}", *extra])
            (target / INSTALLED).touch()
    return target


def _install(target: Path, pins: Path, packages: list[str]) -> None:
    import uv

    program = uv.find_uv_bin()
    run([program, "venv", "--quiet", "--python", sys.executable, target], what="making Airflow's environment")
    install = [program, "pip", "install", "--quiet", "--python", str(target / "bin" / "python")]
    requirements = [*packages, "--requirement", str(pins / "requirements.txt")]
    run([*install, *requirements, "--constraint", str(pins / "constraints.txt")], what=f"installing {packages[0]}")
