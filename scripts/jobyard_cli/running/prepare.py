"""From the options of `jobyard run` to a run in which nothing is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from jobyard.entries import Job, Task

from jobyard_cli.check.run import Checked, check_jobs
from jobyard_cli.check.template_uses import templates_in
from jobyard_cli.check.templates import read_template
from jobyard_cli.errors import UsageError
from jobyard_cli.platform.environments import UnknownEnvironmentError
from jobyard_cli.release.compile import InvalidJobsError
from jobyard_cli.running.data_folder import DEFAULT_BUCKET
from jobyard_cli.running.errors import InvalidOptionError, MissingValuesError, UnknownTaskError
from jobyard_cli.running.moments import Moments, find_moments
from jobyard_cli.running.rendering import Instance, Renderer, RenderingError, local_image
from jobyard_cli.running.store import Store
from jobyard_cli.running.tracking import without_teams_server
from jobyard_cli.running.values import (
    Given,
    SecretsFile,
    all_params,
    missing_secrets,
    outputs_of,
    params_of,
    variables_of,
)
from jobyard_cli.system import git
from jobyard_cli.team.repo import TeamRepo
from jobyard_cli.usage.report import UnknownJobError

BUCKET_VARIABLE = "jobyard_data_bucket"
"""The platform's Variable with the name of the data bucket."""


@dataclass(frozen=True)
class Options:
    """What a person asks for."""

    job: str
    task: str | None = None
    day: date | None = None
    at: time | None = None
    environment: str | None = None
    data: Path | None = None
    params: Sequence[str] = ()
    variables: Sequence[str] = ()
    outputs: Sequence[str] = ()
    secrets: Path | None = None
    items: Sequence[str] = ()


@dataclass
class Prepared:
    """A run, with all that it needs."""

    repo: TeamRepo
    name: str
    job: Job
    chosen: list[str]
    """The tasks to run, each after those that it needs."""
    moments: Moments
    renderer: Renderer
    store: Store
    secrets: SecretsFile
    bucket: str
    items: list[str]
    outputs: dict[str, Any] = field(default_factory=dict)
    """Outputs of tasks, by name: those that are given, those of earlier runs, and those of this one as they come."""

    @property
    def tasks(self) -> Mapping[str, Task]:
        """All tasks of the job."""
        return self.job["tasks"]

    @property
    def pods(self) -> list[str]:
        """The tasks to run that have a pod in production."""
        return [name for name in self.chosen if not self.tasks[name].get("type")]

    def secret_values(self, environment: Mapping[str, str]) -> dict[str, dict[str, str]]:
        """The variables that tasks have from secrets, by task; `environment` are this command's variables."""
        found: dict[str, dict[str, str]] = {}
        for name in self.pods:
            for variable, key in self.tasks[name]["secrets"].items():
                value = self.secrets.find(variable, f"{key['secret']}/{key['key']}", environment)
                assert value is not None
                found.setdefault(name, {})[variable] = value
        return found

    @property
    def is_whole(self) -> bool:
        """Whether the whole job is run."""
        return len(self.chosen) == len(self.tasks)


def prepare(root: Path, options: Options, now: datetime, environment: Mapping[str, str]) -> Prepared:
    """Return the run that the options ask for; `environment` are this command's variables.

    Raises:
        NotATeamRepoError: the folder is not a team's repository.
        UnknownJobError: the repository has no such job.
        UnknownTaskError: the job has no such task.
        InvalidJobsError: the check finds something in the job.
        NoSuchRunError: the day has no run of the job, or several.
        InvalidOptionError: options do not fit the job.
        UnknownEnvironmentError: the repository knows no such environment.
        MissingValuesError: Variables, secrets or outputs are missing.
    """
    repo = TeamRepo.load(root)
    job = without_teams_server(checked_job(repo, options.job), repo.mlflow, environment)
    chosen = _chosen(job, options.task)
    moments = find_moments(job, options.day, options.at, now, repo.other_job)
    given = _given(job, chosen, options, environment)
    bucket = given.variables.get(BUCKET_VARIABLE) or _bucket(repo, options)
    renderer = Renderer(
        team=repo.team,
        name=options.job,
        job=job,
        moments=moments,
        params=all_params(job, given.params),
        conf=given.params,
        shared_variables=frozenset(repo.shared_variables),
        variables={**given.variables, **({BUCKET_VARIABLE: bucket} if bucket else {})},
        images=local_image,
        commit=lambda: git.commit(root),
    )
    prepared = Prepared(
        repo=repo,
        name=options.job,
        job=job,
        chosen=chosen,
        moments=moments,
        renderer=renderer,
        store=Store(root, options.job, moments.folder),
        secrets=SecretsFile.read(options.secrets),
        bucket=bucket or DEFAULT_BUCKET,
        items=list(options.items),
    )
    _fill_outputs(prepared, given.outputs)
    _raise_missing(prepared, environment)
    return prepared


def _given(job: Job, chosen: Sequence[str], options: Options, environment: Mapping[str, str]) -> Given:
    """What the options give; all that is wrong with them is raised at once."""
    params, wrong_params = params_of(job, options.params)
    variables, wrong_variables = variables_of(options.variables, environment)
    outputs, wrong_outputs = outputs_of(job, options.outputs)
    wrong = [*wrong_params, *wrong_variables, *wrong_outputs, *_wrong_outputs(outputs, chosen, job)]
    if options.data is not None and not options.data.is_dir():
        wrong.append(f"--data must be a folder; got {options.data}")
    if options.items and (options.task is None or not job["tasks"][options.task].get("foreach")):
        wrong.append("--item needs a TASK that has a foreach")
    if wrong:
        raise InvalidOptionError(wrong)
    return Given(params, variables, outputs)


def checked_job(repo: TeamRepo, name: str, outcome: str = "nothing was run") -> Job:
    """Return a job of the repository, complete; `outcome` is what a message says became of the command.

    Raises:
        UnknownJobError: the repository has no such job.
        InvalidJobsError: the check finds something in the job.
    """
    files = {file.parent.name: file for file in repo.job_files}
    if name not in files:
        raise UnknownJobError(name, files)
    checked: Checked = check_jobs(repo, [files[name]])
    if checked.findings:
        raise InvalidJobsError(checked, outcome)
    return checked.entries[name]


def _chosen(job: Job, task: str | None) -> list[str]:
    if task is not None:
        if task not in job["tasks"]:
            raise UnknownTaskError(task, job["tasks"])
        return [task]
    sorter: TopologicalSorter[str] = TopologicalSorter()
    for name in sorted(job["tasks"]):
        sorter.add(name, *sorted(job["tasks"][name]["needs"]))
    return list(sorter.static_order())


def _wrong_outputs(outputs: Mapping[str, Any], chosen: Sequence[str], job: Job) -> list[str]:
    """Outputs are given for tasks that are not run, and are lists where a task has several instances."""
    lines: list[str] = []
    for name, value in outputs.items():
        if name in chosen:
            lines.append(f"--output {name}: the task is run itself, and leaves its own output")
        elif job["tasks"][name].get("foreach") and not isinstance(value, list):
            lines.append(f"--output {name}: the output of a task with foreach is a list; got {value!r:.60}")
    return lines


def _bucket(repo: TeamRepo, options: Options) -> str | None:
    """The data bucket: the environment's, or one that stands for it."""
    if options.environment:
        if options.environment not in repo.environments:
            raise UnknownEnvironmentError(options.environment, sorted(repo.environments))
        if bucket := repo.environments[options.environment].get("dataBucket"):
            return str(bucket)
    return DEFAULT_BUCKET if options.data else None


def _fill_outputs(prepared: Prepared, given: Mapping[str, Any]) -> None:
    """Add the outputs of tasks that are not run: those that are given, else those that an earlier run has left."""
    for name, task in prepared.tasks.items():
        if name in given:
            prepared.outputs[name] = given[name]
        elif name not in prepared.chosen:
            kept = prepared.store.kept(name, is_foreach=bool(task.get("foreach")))
            if kept is not None:
                prepared.outputs[name] = kept


def used_outputs(task: Task) -> set[str]:
    """The tasks whose output a task uses."""
    used: set[str] = set()
    for part in (task.get("foreach"), task.get("gate")):
        if part and part["output_of"]:
            used.add(str(part["output_of"]))
    for _, text in templates_in((), dict(task)):
        used |= read_template(text).outputs
    return used


def _raise_missing(prepared: Prepared, environment: Mapping[str, str]) -> None:
    """Report everything that is missing at once."""
    problems = missing_secrets(prepared.tasks, prepared.pods, prepared.secrets, environment)
    problems += _missing_outputs(prepared)
    problems += _missing_variables(prepared)
    if problems:
        raise MissingValuesError(problems)


def _missing_outputs(prepared: Prepared) -> list[str]:
    lines: list[str] = []
    for name in prepared.pods:
        for other in sorted(used_outputs(prepared.tasks[name])):
            if other not in prepared.outputs and other not in prepared.chosen:
                day = prepared.moments.folder[:10]
                lines.append(
                    f"{name}: no output of {other}: run it first (jobyard run {prepared.name} {other} --day {day}), or "
                    f"give it with --output {other}=<JSON>, or --output {other}.<name>=<value>"
                )
    return lines


def _missing_variables(prepared: Prepared) -> list[str]:
    """Render what can be rendered already, to see which Variables it asks for."""
    for name in prepared.pods:
        foreach = prepared.tasks[name].get("foreach")
        items = (foreach["items"] if foreach else None) or [None]
        for index, item in enumerate(items):
            try:
                prepared.renderer.render(Instance(name, item, index if foreach else -1), prepared.outputs, try_all=True)
            except RenderingError:
                # It may be an output that is not there yet; the run will tell.
                continue
    return [_missing_variable(name, prepared.repo) for name in sorted(prepared.renderer.missing)]


def _missing_variable(name: str, repo: TeamRepo) -> str:
    line = f"no value for the Airflow Variable {name}: give it with --variable {name}=<value>"
    if name != BUCKET_VARIABLE:
        return line
    line += ", or the data as a folder with --data"
    with_bucket = [key for key, values in repo.environments.items() if values.get("dataBucket")]
    if with_bucket:
        line += f", or the environment's with --environment ({', '.join(sorted(with_bucket))})"
    return line


def chosen_items(items: Sequence[object], wanted: Sequence[str]) -> list[int]:
    """The indexes of the items that `--item` names: by index, by text, or, of a mapping, by its `name`.

    Raises:
        InvalidOptionError: an item does not exist.
    """
    if not wanted:
        return list(range(len(items)))
    names: dict[str, int] = {}
    for index, item in enumerate(items):
        names.setdefault(str(index), index)
        names.setdefault(str(item), index)
        if isinstance(item, dict) and "name" in item:
            names.setdefault(str(item["name"]), index)
    if missing := [name for name in wanted if name not in names]:
        shown = "; ".join(f"{index}: {str(item)[:60]}" for index, item in enumerate(items[:20]))
        raise InvalidOptionError([f"--item {name}: no such item; there is {shown}" for name in missing])
    return sorted({names[name] for name in wanted})


def day_of(text: str | None) -> date | None:
    """The day that an option names.

    Raises:
        UsageError: it is not YYYY-MM-DD.
    """
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--day must be a date such as 2026-11-20; got '{text}'") from None


def time_of(text: str | None) -> time | None:
    """The time of day that an option names.

    Raises:
        UsageError: it is not HH:MM.
    """
    if text is None:
        return None
    try:
        return datetime.strptime(text, "%H:%M").time()
    except ValueError:
        raise UsageError(f"--at must be a time such as 02:30; got '{text}'") from None
