"""Runs actionlint on this repository's GitHub workflows, or on the files that are named."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

from jobyard_cli.go import toolchain
from jobyard_cli.system.folders import cache_dir
from jobyard_cli.system.locks import one_builder
from jobyard_cli.system.programs import Report, run

ROOT = Path(__file__).resolve().parents[1]
MODULE = ROOT / "scripts" / "actionlint"
"""The Go module that pins it."""
PACKAGE = "github.com/rhysd/actionlint/cmd/actionlint"


def program(report: Report) -> Path:
    """actionlint, built from its pinned module and cached by the module's content.

    Raises:
        ProgramError: a download or the build failed.
    """
    content = b"".join(file.read_bytes() for file in sorted(MODULE.iterdir()))
    target = cache_dir() / f"actionlint-{hashlib.sha256(content).hexdigest()[:12]}"
    with one_builder(target.with_suffix(".lock")):
        if not target.exists():
            build = [*toolchain.go_command(report), "build", "-trimpath", "-buildvcs=false", "-o", str(target), PACKAGE]
            run(build, what="building actionlint", cwd=MODULE, environment=toolchain.ENVIRONMENT)
    return target


def main(files: list[str]) -> int:
    """actionlint's exit code: 0 if it finds nothing."""
    workflows = files or [str(file) for file in sorted((ROOT / ".github" / "workflows").glob("*.yml"))]
    return subprocess.run([program(print), *workflows], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
