"""A team on a local platform that is up: what a merge of its repository does on a real one, step by step."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from jobyard.contract import images_variable
from jobyard_cli.check.run import check_jobs
from jobyard_cli.cli.steps import Steps
from jobyard_cli.parsing.documents import Document, parse
from jobyard_cli.platform.teams import TEAMS, TeamFiles, team_findings
from jobyard_cli.system.programs import Report, run
from jobyard_cli.team.repo import TeamRepo

from jobyard_local import argocd, cluster
from jobyard_local.errors import NotRunningError, TeamRefusedError, UnknownTeamError
from jobyard_local.images import Builder
from jobyard_local.platform import AIRFLOW_BUCKET, ENVIRONMENT, LocalPlatform
from jobyard_local.services import GitRepository, git

BAND = (1000, 9999)
"""Lowest and highest priority of a team's pods, unless its own are outside of it."""
QUOTA: Mapping[str, Any] = {"pods": 20, "cpu": "16", "memory": "32Gi", "ephemeralStorage": "100Gi"}
"""What a team's pods together may request; with the machines that Karpenter simulates, more than this machine has."""
SHOWN = 5
"""How many files with uncommitted changes an error names."""


def grant(
    node_groups: Sequence[str], priorities: Mapping[str, int] | None = None, quota: Mapping[str, Any] = QUOTA
) -> dict[str, Any]:
    """Return what the platform gives a team: the content of its file in `values/teams/`, but for its address."""
    # The check reports a level without a number.
    levels = {name: value for name, value in (priorities or {}).items() if isinstance(value, int)}
    band = {"min": min([BAND[0], *levels.values()]), "max": max([BAND[1], *levels.values()])}
    own = {"priorities": levels} if levels else {}
    return {
        "revision": "main",
        "allowedNodeGroups": list(node_groups),
        "priorityBand": band,
        **own,
        "quota": dict(quota),
    }


@dataclass(frozen=True)
class Asked:
    """What a person asks for a team; what is empty stays as the team has it, or gets its default.

    `quota` has single entries of the team's quota; `secrets` are files of NAME=VALUE lines by the name of the Secret.
    """

    node_groups: Sequence[str] = ()
    quota: Mapping[str, Any] = field(default_factory=dict)
    secrets: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True)
class Added:
    """What is on the platform now: the commit, the images' addresses, the DAGs; and what `jobyard sync` printed."""

    team: str
    commit: str
    images: Mapping[str, str]
    dags: Sequence[str]
    said: str


def jobyard(tree: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> str:
    """Run the `jobyard` command in a team's repository, as a person or the pipeline does; return what it prints.

    Raises:
        ProgramError: it exited with another code than 0.
    """
    return run(
        [sys.executable, "-m", "jobyard_cli", *arguments],
        what=f"jobyard {arguments[0]}",
        cwd=tree,
        environment={"PYTHONPATH": os.pathsep.join(sys.path), "NO_COLOR": "1", **(environment or {})},
    )


def images_in(tree: Path) -> list[str]:
    """Return the names of the images that a team's repository has a Dockerfile of."""
    return sorted(file.parent.name for file in (tree / "images").glob("*/Dockerfile"))


def build_images(builder: Builder, team: str, tree: Path, report: Report) -> list[str]:
    """Build each image of a team's repository, and return their names; unchanged layers are not built again.

    Raises:
        ProgramError: a step of a Dockerfile failed, with its output.
    """
    names = images_in(tree)
    if names:
        builder.ensure_base(report)
    for name in names:
        builder.build(tree / "images" / name, f"localhost/{team}/{name}", report, pull=True)
    return names


class LocalTeam:
    """One team of a platform. Nothing is looked up before a method needs the platform to be up."""

    def __init__(self, platform: LocalPlatform, name: str) -> None:
        self.platform = platform
        self.name = name

    @cached_property
    def repository(self) -> GitRepository:
        """The team's bare repository on the platform."""
        return GitRepository(self.platform.layout, f"{self.name}-jobs")

    def join(self, tree: Path, granted: Mapping[str, Any], *, force: bool = False) -> str:
        """Push the repository, register the team, and wait until Argo CD has made its bounds and its chart's objects.

        Raises:
            ProgramError: git refused, as without `force` it does where the history was changed.
            TookTooLongError: Argo CD could not sync, with its messages.
        """
        self.repository.create()
        revision = self.repository.push(tree, force=force)
        self.repository.note_source(tree)
        self.platform.add_team(self.name, {"repo": self.repository.url, **granted})
        # The bounds have the team's Application. It may have looked at the repository before this push.
        argocd.refresh(self.platform.kubectl, f"team-{self.name}")
        argocd.wait_settled(self.platform.kubectl, f"team-{self.name}", revision)
        return revision

    def publish_images(self, names: Iterable[str], builder: Builder, report: Report) -> dict[str, str]:
        """Push images that were built, and write their addresses by digest into the team's Airflow Variable.

        Raises:
            ProgramError: the registry refused.
            AirflowError: unreachable, or refused.
        """
        urls = {}
        for name in names:
            report(f"pushing {name}")
            urls[name] = push_image(self.platform, builder, f"{self.name}/{name}")
        self.platform.airflow.set_variable(images_variable(self.name), json.dumps(urls))
        return urls

    def with_bucket(self, tree: Path, *command: str) -> str:
        """Run a `jobyard` command on Airflow's bucket in the team's repository; return what it prints.

        Raises:
            ProgramError: it exited with another code than 0.
        """
        layout, key = self.platform.layout, self.platform.root_credentials
        environment = {
            "AWS_ACCESS_KEY_ID": key.access_key,
            "AWS_SECRET_ACCESS_KEY": key.secret_key,
            # A person's own session would not fit this key.
            "AWS_SESSION_TOKEN": "",
        }
        bucket = ("--bucket", AIRFLOW_BUCKET, "--endpoint-url", layout.s3_url)
        return jobyard(tree, *command, *bucket, environment=environment)

    def sync(self, tree: Path) -> str:
        """Release the jobs of what is checked out, and wait until Airflow has them.

        Raises:
            ProgramError: the check found something, the bucket refused, or Airflow did not get them in time.
        """
        return self.with_bucket(tree, "sync", "--airflow-url", self.platform.layout.airflow_url)

    def make_secrets(self, files: Mapping[str, Path]) -> None:
        """Create or replace Kubernetes Secrets in the team's namespace, each from a file of NAME=VALUE lines.

        Raises:
            ProgramError: a line of a file is not of this form, or the API server refused.
        """
        kubectl, namespace = self.platform.kubectl, cluster.namespace(self.name)
        for name, file in files.items():
            # The values are in no command line, where every user of this machine could read them.
            source = f"--from-env-file={file.absolute()}"
            made = kubectl.json("create", "secret", "generic", name, source, "--dry-run=client")
            kubectl.apply({**made, "metadata": {**made["metadata"], "namespace": namespace}})

    def is_registered(self) -> bool:
        return self.name in self.platform.teams()

    def is_from(self, tree: Path) -> bool:
        """Return whether what was pushed for the team so far, if anything, shares its history with this work tree."""
        before = self.platform.teams().get(self.name)
        if before is not None and before["repo"] != self.repository.url:
            return False
        if not self.repository.path.exists():
            return True
        pushed = first_commits(self.repository.path, "--all")
        return not pushed or bool(pushed & first_commits(tree, "HEAD"))

    def remove(self) -> None:
        """Remove the team's objects, its repository on the platform and its DAGs; its data on S3 stays.

        Raises:
            TookTooLongError: Argo CD has not removed everything in time.
        """
        platform = self.platform
        others = {team: values for team, values in platform.teams().items() if team != self.name}
        platform.register(others)
        argocd.remove(platform.kubectl, f"bounds-{self.name}")
        # Without its loader, Airflow forgets the team's DAGs; without the release, so does a later team of this name.
        platform.put_platform_files()
        platform.s3().delete_object(Bucket=AIRFLOW_BUCKET, Key=f"dags/{self.name}/jobs.json")
        shutil.rmtree(self.repository.path, ignore_errors=True)


def push_image(platform: LocalPlatform, builder: Builder, name: str) -> str:
    """Push an image that was built as `localhost/<name>`; return its address in the platform's registry, by digest.

    Raises:
        ProgramError: the registry refused.
    """
    return builder.push(f"localhost/{name}", f"{platform.layout.registry}/{name}:latest")


def first_commits(repository: Path, revision: str) -> set[str]:
    """Return the commits without a parent that a revision comes from."""
    return set(git(repository, "rev-list", "--max-parents=0", revision).split())


def require_running(platform: LocalPlatform) -> None:
    """Make sure that every process of the platform runs.

    Raises:
        NotRunningError: the platform was never started, is stopped, or a part of it ended.
    """
    processes = platform.processes()
    ended = [name for name, runs in processes.items() if not runs]
    if not processes or ended:
        raise NotRunningError(platform.state.name, ended if len(ended) < len(processes) else ())


def add(platform: LocalPlatform, folder: Path, asked: Asked, builder: Builder, steps: Steps) -> Added:
    """Put what is committed in a team's repository on the platform; again, it does what a pipeline does after a merge.

    Raises:
        NotRunningError: the platform is not up.
        NotATeamRepoError: the folder is not a team's repository.
        TeamRefusedError: something is wrong with the repository or what is asked; nothing was pushed.
        ProgramError, TookTooLongError: a later step failed; the command can be repeated.
    """
    require_running(platform)
    repo = TeamRepo.load(folder)
    team, tree = LocalTeam(platform, repo.team), repo.root
    granted = _granted(team, repo, asked)
    with steps.step("jobyard check"):
        problems = [*_problems_of_git(team, tree), *_problems_of_grant(team, granted), *_findings(repo)]
    missing = [file for file in asked.secrets.values() if not file.is_file()]
    problems += [f"--secret must name a file that exists; got {file}" for file in missing]
    if problems:
        raise TeamRefusedError(problems)
    with steps.step("images, from their Dockerfiles") as report:
        names = build_images(builder, team.name, tree, report)
    with steps.step("Argo CD syncs the team's bounds and the team's chart"):
        revision = team.join(tree, granted, force=True)
    team.make_secrets(asked.secrets)
    with steps.step("images pushed, their URLs in an Airflow Variable") as report:
        urls = team.publish_images(names, builder, report)
    with steps.step("the release goes to S3, the DAGs come up in Airflow"):
        said = team.sync(tree)
    return Added(team.name, revision, urls, repo.own_jobs, said)


def remove(platform: LocalPlatform, name: str, steps: Steps) -> None:
    """Take a team off the platform.

    Raises:
        NotRunningError: the platform is not up.
        UnknownTeamError: it has no such team.
        TookTooLongError: Argo CD has not removed everything in time; the command can be repeated.
    """
    require_running(platform)
    team = LocalTeam(platform, name)
    if not team.is_registered() and not argocd.exists(platform.kubectl, f"bounds-{name}"):
        raise UnknownTeamError(name, sorted(platform.teams()))
    with steps.step(f"Argo CD removes team {name}: its chart's objects, its bounds, its namespace"):
        team.remove()


def _granted(team: LocalTeam, repo: TeamRepo, asked: Asked) -> dict[str, Any]:
    """Return what the team is given: what is asked, or else what it had, or else what its own values want."""
    before = team.platform.teams().get(team.name, {})
    node_groups = asked.node_groups or before.get("allowedNodeGroups") or repo.allowed_node_groups
    return grant(node_groups, repo.priorities, {**before.get("quota", QUOTA), **asked.quota})


def _problems_of_git(team: LocalTeam, tree: Path) -> Iterator[str]:
    top = _git_top(tree)
    if top != tree.resolve():
        yield (
            f"{tree} must be the top folder of a git work tree with a commit; run "
            "`git init -b main && git add -A && git commit -m 'Make the repository'` in it"
        )
        return
    if changed := [line[3:] for line in git(tree, "status", "--porcelain").splitlines()]:
        more = f" and {len(changed) - SHOWN} more" if len(changed) > SHOWN else ""
        commit = git(tree, "log", "-1", "--format=%h %s").strip()
        yield (
            f"{tree} has uncommitted changes: {', '.join(changed[:SHOWN])}{more}; only commits are pushed, the last is "
            f"'{commit}': commit or stash the changes"
        )
    if not team.is_from(tree):
        yield (
            f"team '{team.name}' is on the platform with the jobs of another repository; "
            f"`jobyard local team remove {team.name}` removes it, or give this team another name"
        )


def _git_top(tree: Path) -> Path | None:
    """Return the top folder of the work tree that a folder is in; None without git or without a commit."""
    from jobyard_cli.system.git import GitError
    from jobyard_cli.system.git import git as asked

    try:
        asked(tree, "rev-parse", "--verify", "--quiet", "HEAD")
        return Path(asked(tree, "rev-parse", "--show-toplevel").strip()).resolve()
    except GitError:
        return None


def _problems_of_grant(team: LocalTeam, granted: Mapping[str, Any]) -> Iterator[str]:
    """What the platform's check says of the team's file."""
    document = Document(f"{TEAMS}/{team.name}.yaml")
    parse(document, yaml.safe_dump({"repo": f"https://localhost/{team.name}.git", **granted}, sort_keys=False))
    for finding in team_findings(TeamFiles(document, {}), [ENVIRONMENT], team.platform.source.root):
        yield finding.message


def _findings(repo: TeamRepo) -> list[str]:
    return [str(finding) for finding in check_jobs(repo).findings]
