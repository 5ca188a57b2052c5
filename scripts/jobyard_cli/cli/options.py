"""Options that several commands share, each declared once, and what they stand for."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jobyard_cli.errors import UsageError

if TYPE_CHECKING:
    from jobyard_cli.platform.environments import Environment
    from jobyard_cli.team.repo import TeamRepo

BUCKET = "JOBYARD_BUCKET"
"""The variable with which a pipeline names Airflow's bucket."""

TeamRepository = Annotated[
    Path | None,
    typer.Option(
        "--repo", help="Root directory of the team repository.", show_default="found from the working directory"
    ),
]
PlatformRepository = Annotated[
    Path,
    typer.Option("--repo", help="Root directory of the platform repository.", show_default="the working directory"),
]
EnvironmentName = Annotated[
    str, typer.Option("--environment", help="Environment: the name of a file in the platform's values/environments.")
]
OptionalEnvironmentName = Annotated[
    str | None,
    typer.Option("--environment", help="Environment: the name of a file in the platform's values/environments."),
]
PlatformWorkTree = Annotated[
    Path | None,
    typer.Option(
        "--platform",
        help="Work tree of the platform repository to use.",
        show_default="its current branch, fetched when needed",
    ),
]
Bucket = Annotated[
    str | None,
    typer.Option("--bucket", help="Airflow's bucket.", show_default="`bucket` in the environment's file"),
]
EndpointUrl = Annotated[
    str | None, typer.Option("--endpoint-url", help="URL of an S3-compatible server, instead of AWS.")
]
AirflowUrl = Annotated[
    str | None,
    typer.Option("--airflow-url", help="URL of Airflow's REST API.", show_default="from the environment's file"),
]
JobName = Annotated[str, typer.Argument(metavar="JOB", help="Name of the job: its folder in dags/.")]
RunDay = Annotated[
    str | None,
    typer.Option(
        help="Day on which the run's data interval starts, in the job's time zone.",
        show_default="that of the last interval that is over",
    ),
]
RunTime = Annotated[str | None, typer.Option(help="Time at which it starts, where the day has several runs.")]
Parameters = Annotated[list[str] | None, typer.Option(help="Value of a parameter, NAME=VALUE. Repeatable.")]
RunId = Annotated[
    str | None, typer.Option("--run", help="Id of the run, as `jobyard runs` shows it.", show_default="the newest")
]
WaitForIt = Annotated[
    bool,
    typer.Option("--wait", help="Wait until it has ended, and show each change of state; exit with 1 if it fails."),
]
Unpause = Annotated[bool, typer.Option("--unpause", help="Unpause the job in Airflow, if it is paused.")]
Output = Annotated[Path | None, typer.Option("--output", help="File to write.", show_default="standard output")]
BuildPlatforms = Annotated[
    str,
    typer.Option(
        "--platforms",
        help="Platforms to build for, such as linux/amd64,linux/arm64.",
        show_default="those of the team's node groups",
    ),
]


def names_in(text: str) -> list[str]:
    """Names of an option that takes several, separated by commas."""
    return [name.strip() for name in text.split(",") if name.strip()]


def team_root(repo: Path | None, *inside: Path) -> Path:
    """Root of the team repository: the one given, or the one that the first path or the working directory is in."""
    from jobyard_cli.team.repo import TeamRepo

    return repo.absolute() if repo else TeamRepo.find(next(iter(inside), Path()))


def platform_tree(root: Path, given: Path | None) -> Path:
    """The platform's files as they are now; a note on standard error says how old they are if no newer can be had.

    Raises:
        MissingPlatformError: no copy of the platform's files can be had.
    """
    from jobyard_cli.platform.current import current_platform

    current = current_platform(root, given)
    if current.why:
        print(f"note: this uses {current.state}", file=sys.stderr)
    return current.tree


def team_environment(root: Path, name: str | None, platform: Path | None) -> Environment | None:
    """The environment of that name in the platform's files, or None where no name is given.

    Raises:
        UnknownEnvironmentError: the platform has no such environment.
        MissingPlatformError: no copy of the platform's files can be had.
    """
    from jobyard_cli.platform.environments import load_environment

    return load_environment(platform_tree(root, platform), name) if name else None


def pipeline_bucket(environment: str | None) -> str | None:
    """The bucket that the pipeline's variable names, for a command that is given no environment."""
    return None if environment else os.environ.get(BUCKET)


def build_platforms(given: str, root: Path) -> list[str]:
    """The platforms to build images for: those given, or those of the team's node groups.

    Raises:
        UsageError: a platform is not of the form linux/amd64.
    """
    from jobyard_cli.images import platforms

    return platforms.parse(given) if given else platforms.of_team(jobs_repository(root))


def jobs_repository(root: Path) -> TeamRepo:
    """The repository of a team, or the platform's as that of its own jobs.

    Raises:
        NotATeamRepoError: the folder is neither.
    """
    from jobyard_cli.platform.own_jobs import as_team, is_platform
    from jobyard_cli.team.repo import TeamRepo

    return as_team(root) if is_platform(root) else TeamRepo.load(root)


def own_images(root: Path) -> list[str] | None:
    """The images of the platform's own jobs, where that is the repository; None stands for all that a team has."""
    from jobyard_cli.platform.own_jobs import is_platform
    from jobyard_cli.platform.own_jobs import own_images as named

    return named(root) if is_platform(root) else None


def write(content: str, output: Path | None) -> None:
    """Write to the file, or to standard output."""
    if output is None:
        print(content, end="")
    else:
        output.write_text(content, encoding="utf-8")


def require_folder(name: str, path: Path) -> None:
    """Refuse an option or argument that is not a folder.

    Raises:
        UsageError: it is something else, or missing.
    """
    if not path.is_dir():
        raise UsageError(f"{name} must be a folder; got {path}")


def require_file(name: str, path: Path) -> None:
    """Refuse an option or argument that is not a file.

    Raises:
        UsageError: it is a folder, or missing.
    """
    if not path.is_file():
        raise UsageError(f"{name} must be a file; got {path}")


def exclusive(*, given: dict[str, object], why: str) -> None:
    """Refuse two options that exclude each other.

    Raises:
        UsageError: more than one of them is given.
    """
    names = [name for name, value in given.items() if value]
    if len(names) > 1:
        raise UsageError(f"{' and '.join(names)} exclude each other: {why}")
