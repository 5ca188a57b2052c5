"""The S3 server, the image registry, Redis and the git repositories."""

from __future__ import annotations

import secrets
import shutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import yaml
from jobyard_cli.system.errors import ProgramError
from jobyard_cli.system.programs import run

from jobyard_local.layout import Layout
from jobyard_local.processes import Process, answers, listens

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

REGION = "us-east-1"
ATTEMPTS = 10
"""Of one request to the S3 server, each of which may take a minute on a busy machine."""
SUBJECT = ["-c", "user.name=jobyard", "-c", "user.email=jobyard@localhost", "-c", "commit.gpgsign=false"]


@dataclass(frozen=True)
class Credentials:
    """An S3 access key, made for one platform and kept in its state folder."""

    access_key: str
    secret_key: str

    @classmethod
    def ensure(cls, path: Path) -> Credentials:
        """Return the key in this file, which is made on first use."""
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
            path.write_text(f"{path.stem}\n{secrets.token_hex(20)}\n")
        access_key, secret_key = path.read_text().split()
        return cls(access_key, secret_key)


def s3_process(layout: Layout, root: Credentials) -> Process:
    """Return the process of versitygw, which serves a folder.

    Chosen because publishing a release depends on S3's conditional puts and object versions: it answers 412 to a failed
    `If-Match` or `If-None-Match`, and keeps versions, which moto's server and plain file servers do not fully do.
    It listens on the bridge, where this machine and the pods both reach it.
    """
    objects, versions, users = (layout.state / "s3" / name for name in ("objects", "versions", "users"))
    for folder in (objects, versions, users):
        folder.mkdir(parents=True, exist_ok=True)
    command = [
        layout.tool("versitygw"),
        f"--port={layout.host}:{layout.ports['s3']}",
        f"--region={REGION}",
        f"--iam-dir={users}",
        f"--versioning-dir={versions}",
        str(objects),
    ]
    environment = {"ROOT_ACCESS_KEY": root.access_key, "ROOT_SECRET_KEY": root.secret_key}
    return Process("s3", command, listens(layout.host, layout.ports["s3"]), environment)


def s3_client(layout: Layout, credentials: Credentials) -> S3Client:
    """Return a client for the platform's S3 server; one for all, as threads may share it."""
    return _client(layout.s3_url, credentials.access_key, credentials.secret_key)


@cache
def _client(url: str, access_key: str, secret_key: str) -> S3Client:
    import boto3
    from botocore.config import Config

    # A session of its own: threads may not make clients of boto3's default session at once.
    return boto3.session.Session().client(
        "s3",
        config=Config(retries={"mode": "standard", "total_max_attempts": ATTEMPTS}),
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
    )


def create_user(layout: Layout, root: Credentials, user: Credentials) -> None:
    """Give the S3 server another access key, with no right until a bucket's policy names it.

    Raises:
        ProgramError: the server refused.
    """
    from botocore.auth import S3SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials as Signer
    from botocore.httpsession import URLLib3Session

    key = f"<Access>{user.access_key}</Access><Secret>{user.secret_key}</Secret>"
    request = AWSRequest("PATCH", f"{layout.s3_url}/create-user", data=f"<Account>{key}<Role>user</Role></Account>")
    S3SigV4Auth(Signer(root.access_key, root.secret_key), "s3", REGION).add_auth(request)
    answer = URLLib3Session().send(request.prepare())
    if answer.status_code >= 400:
        raise ProgramError("creating an S3 user", answer.text)


def registry_process(layout: Layout, storage: Path) -> Process:
    """Return Debian's docker-registry, which stands in for ECR: the kubelet pulls from it by digest.

    `storage` outlives the platform: what was pushed once is not compressed and pushed again.
    """
    storage.mkdir(parents=True, exist_ok=True)
    config = {
        "version": 0.1,
        "log": {"level": "warn"},
        "storage": {"filesystem": {"rootdirectory": str(storage)}, "delete": {"enabled": True}},
        "http": {"addr": layout.registry},
    }
    path = layout.state / "registry.yml"
    path.write_text(yaml.safe_dump(config))
    return Process("registry", ["docker-registry", "serve", str(path)], answers(f"http://{layout.registry}/v2/"))


def redis_process(layout: Layout) -> Process:
    """Return Argo CD's cache of rendered charts."""
    port = layout.ports["redis"]
    command = [
        "redis-server",
        "--port",
        str(port),
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--dir",
        str(layout.state),
    ]
    return Process("redis", command, listens("127.0.0.1", port))


SOURCE = "jobyard.source"
"""Key in the configuration of a bare repository."""


class GitRepository:
    """A bare repository that Argo CD reads by its file:// address, and a person pushes to."""

    def __init__(self, layout: Layout, name: str) -> None:
        self.path = layout.state / "git" / f"{name}.git"

    @property
    def url(self) -> str:
        return f"file://{self.path}"

    def create(self) -> None:
        """Make it, unless it is there."""
        if not self.path.exists():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            run(["git", "init", "--quiet", "--bare", "--initial-branch=main", self.path], what="git init")

    def push(self, tree: Path, *, force: bool = False) -> str:
        """Push what is checked out in a work tree to main, and return the commit.

        Raises:
            ProgramError: git refused, as without `force` it does where main is not among the commit's ancestors.
        """
        options = ["--force"] if force else []
        git(tree, "push", "--quiet", *options, str(self.path), "HEAD:main")
        return git(tree, "rev-parse", "HEAD").strip()

    def note_source(self, tree: Path) -> None:
        """Note the folder that it is pushed from."""
        git(self.path, "config", SOURCE, str(tree.resolve()))

    def source(self) -> str:
        """Return the folder that it was last pushed from; "" if that was not noted."""
        if not self.path.exists():
            return ""
        return git(self.path, "config", "--default", "", "--get", SOURCE).strip()

    def replace(self, files: dict[str, Path | str], message: str, scratch: Path) -> str:
        """Make these files (path in the repository -> a file, a folder or a text) the whole content of main."""
        if not scratch.exists():
            run(["git", "clone", "--quiet", self.path, scratch], what="git clone")
        for entry in scratch.iterdir():
            if entry.name != ".git":
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        for name, content in files.items():
            _put(scratch / name, content)
        git(scratch, "add", "--all")
        if git(scratch, "status", "--porcelain"):
            git(scratch, "commit", "--quiet", "--message", message)
        return self.push(scratch)

    def changed(self, commit: str) -> list[str]:
        """Return the files that a commit changed, by their path in the repository."""
        return git(self.path, "diff-tree", "--root", "--no-commit-id", "--name-only", "-r", commit).splitlines()


def git(tree: Path, *arguments: str) -> str:
    """Run git in a work tree, with a user name of its own, as a new machine has none; return its output."""
    return run(["git", "-C", tree, *SUBJECT, *arguments], what=f"git {arguments[0]}")


def _put(target: Path, content: Path | str) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, str):
        target.write_text(content)
    elif content.is_dir():
        shutil.copytree(content, target)
    else:
        shutil.copyfile(content, target)
