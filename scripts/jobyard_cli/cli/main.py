"""The `jobyard` command: only this module and the sub-commands' print."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jobyard_cli.check import formats, report
from jobyard_cli.check.run import Checked, check_repo
from jobyard_cli.cli.comment import comment
from jobyard_cli.cli.dags import dags
from jobyard_cli.cli.iam import iam
from jobyard_cli.cli.images import build_images, images
from jobyard_cli.cli.pipeline_role import pipeline_role
from jobyard_cli.cli.plan import plan, render
from jobyard_cli.cli.platform_repo import refresh
from jobyard_cli.cli.published_jobs import catalogue
from jobyard_cli.cli.sync import releases, sync
from jobyard_cli.cli.team import PlatformRepo
from jobyard_cli.cli.team import app as team_app
from jobyard_cli.cli.test_chart import test_chart
from jobyard_cli.errors import JobyardError
from jobyard_cli.system.git import commit
from jobyard_cli.team.repo import TeamRepo

if TYPE_CHECKING:
    pass

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Batch machine learning on Kubernetes with Airflow.")
TEAM = "In a team's repository"
PIPELINE = "In a pipeline"
PLATFORM = "In the platform's repository"
HERE = "On this machine"

Repo = Annotated[
    Path | None,
    typer.Option("--repo", help="Top folder of the team's repository.", show_default="the one we are in"),
]
EnvironmentName = Annotated[str, typer.Option("--environment", help="Name of a file of values/environments.")]


class Format(StrEnum):
    """How the check answers: a person, our own JSON, GitHub's annotations, GitLab's Code Quality, SARIF 2.1.0."""

    text = "text"
    json = "json"
    github = "github"
    gitlab = "gitlab"
    sarif = "sarif"


@app.command(rich_help_panel=TEAM)
def check(
    paths: Annotated[list[Path] | None, typer.Argument(help="Job files or folders; all jobs by default.")] = None,
    repo: Repo = None,
    output: Annotated[Format, typer.Option("--format", help="For a person, or for a program.")] = Format.text,
) -> None:
    """Check jobs; say for each problem where it is, what is wrong and what would be right.

    Exit code: 0 without a problem, 1 with one, 2 where the command itself is wrong.
    """
    chosen = paths or []
    checked = check_repo(_root(repo, *chosen), chosen)
    for line in _answer(checked, output):
        print(line)
    if checked.findings:
        raise typer.Exit(1)


def _answer(checked: Checked, output: Format) -> Iterable[str]:
    match output:
        case Format.json:
            return [report.as_json(checked)]
        case Format.github:
            return [*formats.github(checked.reported), report.summary(checked)]
        case Format.gitlab:
            return [formats.gitlab(checked.reported)]
        case Format.sarif:
            return [formats.sarif(checked.reported)]
        case _:
            return report.lines(checked, snippets=sys.stdout.isatty())


@app.command(rich_help_panel=TEAM)
def new(
    job: Annotated[str, typer.Argument(help="The new job's name.")],
    like: Annotated[str, typer.Option(help="The example to start from.")] = "batch-inference",
    repo: Repo = None,
) -> None:
    """Start a job from an example: writes dags/JOB/job.yaml."""
    from jobyard_cli.team.scaffold import new_job

    root = _root(repo)
    file = new_job(root, job, like)
    print(f"wrote {file.relative_to(root)}; change it, then run `jobyard check`")


@app.command(rich_help_panel=TEAM)
def release(
    output: Annotated[Path | None, typer.Option(help="File to write; standard output by default.")] = None,
    repo: Repo = None,
) -> None:
    """Check all jobs and compile them into one release."""
    from jobyard_cli.release.compile import compile_release

    root = _root(repo)
    content = compile_release(root, commit(root))
    if output is None:
        sys.stdout.buffer.write(content.body)
    else:
        output.write_bytes(content.body)


for command in (plan, render, test_chart, sync, releases):
    app.command(rich_help_panel=TEAM)(command)
for of_pipeline in (images, build_images, dags, comment, pipeline_role, refresh):
    app.command(rich_help_panel=PIPELINE)(of_pipeline)
app.add_typer(team_app, name="team", rich_help_panel=PLATFORM)
for of_platform in (iam, catalogue):
    app.command(rich_help_panel=PLATFORM)(of_platform)


@app.command(rich_help_panel=TEAM)
def upgrade(
    checkout: Annotated[
        str, typer.Option(help="Branch, tag or commit of the template.", show_default="its newest commit")
    ] = "",
    repo: Repo = None,
) -> None:
    """Bring the repository to a later version of the platform's template; commits nothing.

    Exit code: 0 when it is done or there is nothing to do, 1 when there is something to decide.
    """
    from jobyard_cli.team.upgrade import upgrade as bring

    done = bring(_root(repo), checkout)
    if not done.changed:
        print(f"nothing to do: the template has nothing newer for this repository than {done.before[:12]}")
        return
    print(f"the template's {done.before[:12]} -> {done.after[:12]}")
    for line in done.changed:
        print(f"  {line}")
    if done.conflicts:
        print("to decide, as both this repository and the template changed it:")
        for line in done.conflicts:
            print(f"  {line}")
        print("then `jobyard check` and commit; or back to where it was: git reset --hard")
        raise typer.Exit(1)
    print("next: look it over (git diff HEAD), run `jobyard check`, and commit it on a branch")


@app.command(rich_help_panel=PLATFORM)
def publish_platform(
    environment: EnvironmentName,
    bucket: Annotated[
        str | None, typer.Option(help="Airflow's bucket.", show_default="the one in the environment's file")
    ] = None,
    kubeconfig: Annotated[
        Path | None,
        typer.Option(
            help="Airflow's kubeconfig: a context for each team, named as it.",
            exists=True,
            show_default="the one that `jobyard kubeconfig` writes",
        ),
    ] = None,
    endpoint_url: Annotated[str | None, typer.Option(help="An S3 server other than AWS.")] = None,
    airflow_url: Annotated[
        str | None, typer.Option(help="Airflow's address.", show_default="what the environment's file says")
    ] = None,
    pools: Annotated[bool, typer.Option(help="First make the teams' pools in Airflow, and roles if there are.")] = True,
    repo: PlatformRepo = Path(),
) -> None:
    """Put the platform's own files where Airflow reads them: library, loaders, node groups, kubeconfig.

    Before that, each team gets its pools in Airflow, which starts no task whose pool does not exist.
    """
    from jobyard_cli.aws import clients as aws
    from jobyard_cli.images.addresses import pod_limits
    from jobyard_cli.platform import environments
    from jobyard_cli.platform.data import platform_data
    from jobyard_cli.platform.files import platform_files, shared_variables, task_types
    from jobyard_cli.platform.kubeconfig import kubeconfig as made
    from jobyard_cli.platform.prepare import prepare
    from jobyard_cli.platform.publish import publish
    from jobyard_cli.system.git import is_later

    chosen = environments.load_environment(repo, environment)
    target = bucket or environments.bucket(chosen)
    config = made(chosen) if kubeconfig is None else kubeconfig.read_text(encoding="utf-8")
    groups, types = environments.load_node_groups(repo), task_types(repo / "values")
    data = platform_data(
        groups,
        environment,
        task_types=types,
        teams=chosen.teams,
        limits=pod_limits(chosen),
        roles=bool(chosen.values.get("airflowRoles")),
        data_buckets=chosen.data_buckets,
        variables=shared_variables(repo / "values"),
    )
    if pools:
        for line in prepare(chosen, airflow_url):
            print(line)
    files = platform_files(repo / "dags", chosen.teams, data, config)
    client = aws.s3(endpoint_url, chosen.values.get("region"))
    done = publish(client, target, files, commit(repo), partial(is_later, repo))
    for name in done.put:
        print(f"put s3://{target}/dags/{name}")
    for name in done.deleted:
        print(f"deleted s3://{target}/dags/{name}")
    print(f"{done.unchanged} of {done.unchanged + len(done.put)} files were there already")


@app.command(rich_help_panel=PLATFORM)
def kubeconfig(
    environment: EnvironmentName,
    output: Annotated[Path | None, typer.Option(help="File to write; standard output by default.")] = None,
    repo: PlatformRepo = Path(),
) -> None:
    """Write Airflow's kubeconfig on MWAA: a context for each team of the environment, as that team's IAM role."""
    from jobyard_cli.platform.environments import load_environment
    from jobyard_cli.platform.kubeconfig import kubeconfig as made

    _write(made(load_environment(repo, environment)), output)


class NodeGroupFormat(StrEnum):
    """Whose file it is to be."""

    eksctl = "eksctl"


@app.command(rich_help_panel=PLATFORM)
def node_groups(
    environment: EnvironmentName,
    output: Annotated[NodeGroupFormat, typer.Option("--format", help="Who is to read it.")] = NodeGroupFormat.eksctl,
    repo: PlatformRepo = Path(),
) -> None:
    """Print the catalogue of node groups as EKS's managed node groups, for `eksctl create nodegroup -f`."""
    from jobyard_cli.platform.environments import load_environment, load_node_groups
    from jobyard_cli.platform.node_groups import eksctl_text

    chosen, groups = load_environment(repo, environment), load_node_groups(repo)
    match output:
        case NodeGroupFormat.eksctl:
            print(eksctl_text(chosen, groups), end="")


def _write(content: str, output: Path | None) -> None:
    if output is None:
        print(content, end="")
    else:
        output.write_text(content, encoding="utf-8")


def _root(repo: Path | None, *inside: Path) -> Path:
    """The team's repository: the one that was named, or the one that the first path, or else the shell, is in."""
    return repo.absolute() if repo else TeamRepo.find(next(iter(inside), Path()))


def run() -> None:
    """Run the command; a mistake of a person's ends with its message and exit code 1, without a traceback."""
    try:
        _mount(sys.argv[1:2])
        app()
    except JobyardError as error:
        print(error, file=sys.stderr)
        sys.exit(1)
    except BrokenPipeError:
        # `jobyard check | head`: nobody reads on.
        sys.stderr.close()
        sys.exit(1)


def _mount(command: list[str]) -> None:
    """Load the local platform only where it is asked for: start-up time is a person's waiting time."""
    if command and command[0] not in ("local", "demo", "--help"):
        return
    try:
        from jobyard_local.commands import app as local
        from jobyard_local.demo.commands import demo
    except ModuleNotFoundError as error:
        if command in (["local"], ["demo"]):
            raise JobyardError(f"this needs the extra `local` (pip install jobyard[local]): no {error.name}") from error
        return
    app.add_typer(local, name="local", rich_help_panel=HERE)
    app.command(rich_help_panel=HERE)(demo)
