"""Scans the GitHub workflows of a generated repository and of this one with zizmor, as its strictest persona."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from jobyard_local.settings import Source


def main() -> int:
    """Exit code 0 where nothing is found."""
    root = Source.find().root
    programs = Path(sys.executable).parent
    with tempfile.TemporaryDirectory() as folder:
        answers = ["team=risk", "repo_name=risk-jobs", "ci=github"]
        bake = [str(programs / "cookiecutter"), "--no-input", "--output-dir", folder, str(root), *answers]
        # cookiecutter keeps its last answers in the home folder.
        subprocess.run(bake, check=True, env={"HOME": folder, "PATH": "/usr/local/bin:/usr/bin:/bin"})
        repositories = (Path(folder) / "risk-jobs", root)
        workflows = [str(repository / ".github" / "workflows") for repository in repositories]
        scan = [str(programs / "zizmor"), "--offline", "--no-progress", "--quiet", "--persona=auditor"]
        return subprocess.run([*scan, f"--config={root / 'zizmor.yml'}", *workflows], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
