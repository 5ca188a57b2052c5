"""GitHub's workflows on this machine: `act` runs their jobs with a shell.

It evaluates conditions, expressions and `needs` itself. GitHub's own actions can't be fetched here: the folder
`actions/` has a stand-in for each, and a checkout is a copy of the work tree.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jobyard_cli.go import toolchain
from jobyard_cli.system.folders import cache_dir
from jobyard_cli.system.locks import one_builder
from jobyard_cli.system.programs import run
from jobyard_local import machine

HERE = Path(__file__).parent
MODULE, ACTIONS = HERE / "act", HERE / "actions"
WORKFLOW = Path(".github", "workflows", "jobyard.yml")
USES = re.compile(r"uses: ([\w-]+/([\w-]+)@\w+)")


def built() -> Path:
    """The program, built from its pinned module once."""
    content = b"".join(file.read_bytes() for file in sorted(MODULE.iterdir()))
    target = cache_dir() / f"act-{hashlib.sha256(content).hexdigest()[:12]}"
    with one_builder(target.with_suffix(".lock")):
        if not target.exists():
            build = [*toolchain.go_command(print), "build", "-ldflags=-s -w", "-o", str(target)]
            run([*build, "github.com/nektos/act"], what="building act", cwd=MODULE, environment=toolchain.ENVIRONMENT)
    return target


class Runner:
    """Runs the workflow of a work tree; `variables` are in the environment of its jobs."""

    def __init__(self, tree: Path, variables: Mapping[str, str]) -> None:
        # What the workflow installs with sudo where a runner lacks it.
        machine.install({"qemu-user-static": "qemu-aarch64-static"}, print)
        self.tree, self.variables, self.program = tree, variables, built()

    def pull_request(self, base: str) -> str:
        """The output of the jobs for a pull request, from a fork, of what is checked out.

        Raises:
            ProgramError: a job failed.
        """
        return self._run("pull_request", {"base": {"sha": base}, "head": {"repo": {"full_name": "another/fork"}}})

    def push(self) -> str:
        """The output of the jobs for a push to the default branch, which is checked out.

        Raises:
            ProgramError: a job failed.
        """
        return self._run("push", {})

    def _run(self, event: str, pull_request: Mapping[str, Any]) -> str:
        used = dict(USES.findall((self.tree / WORKFLOW).read_text()))
        stand_ins = {name: ACTIONS / action for name, action in used.items() if action != "checkout"}
        with tempfile.TemporaryDirectory() as folder:
            payload = Path(folder, "event.json")
            payload.write_text(json.dumps({"pull_request": pull_request}))
            options = ["--platform=ubuntu-24.04=-self-hosted", "--defaultbranch=main", "--no-cache-server"]
            options += [f"--local-repository={name}={stand_in}" for name, stand_in in stand_ins.items()]
            every = {**self.variables, "ARTIFACTS": f"{folder}/artifacts"}
            options += [f"--env={name}={value}" for name, value in every.items()]
            # The jobs install their own `jobyard`: ours is not to be found.
            path = os.pathsep.join(part for part in os.environ["PATH"].split(os.pathsep) if ".venv" not in part)
            return run(
                [self.program, event, f"--eventpath={payload}", *options],
                cwd=self.tree,
                what=f"the workflow for {event}",
                environment={"HOME": folder, "PATH": path, "PYTHONPATH": "", "NO_COLOR": "1"},
            )


def copy_workflow(made: Path, tree: Path) -> None:
    """Give a repository the workflow of another."""
    (tree / WORKFLOW).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(made / WORKFLOW, tree / WORKFLOW)
