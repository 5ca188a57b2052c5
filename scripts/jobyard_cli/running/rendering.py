"""A task's templates, rendered by the library's own modules with the values that Airflow would hand them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from jobyard.contract import COMMIT_MACRO, IMAGE_MACRO, is_image_address
from jobyard.entries import Job

from jobyard_cli.running.errors import LocalRunError
from jobyard_cli.running.moments import Moments


class RenderingError(LocalRunError):
    """A template of a task can't be rendered; in Airflow the task would fail."""

    def __init__(self, place: str, error: Exception) -> None:
        kind = "" if str(error) else type(error).__name__
        super().__init__(f"{place}: {error}{kind}")


class MissingVariableError(LocalRunError):
    """A template uses an Airflow Variable of which nothing here says the value."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"no value for the Airflow Variable {name}: give it with --variable {name}=…")


class OutputUnknownError(LocalRunError):
    """A template uses the output of a task that has left none yet."""

    def __init__(self, task: str) -> None:
        self.task = task
        super().__init__(f"task {task} has left no output")


@dataclass(frozen=True)
class Rendered:
    """A task as its container gets it. To Kubernetes, an empty list is the same as none: the image's own counts."""

    command: list[str]
    args: list[str]
    env: dict[str, str]


def words_of(rendered: Rendered, entrypoint: list[str], command: list[str]) -> list[str]:
    """A container's program and arguments, as Kubernetes puts those of the task and those of the image together.

    https://kubernetes.io/docs/tasks/inject-data-application/define-command-argument-container/
    """
    if rendered.command:
        return [*rendered.command, *rendered.args]
    return [*entrypoint, *(rendered.args or command)]


@dataclass(frozen=True)
class Instance:
    """One instance of a task: of a `foreach`, that of one item."""

    task: str
    item: object = None
    index: int = -1

    @property
    def label(self) -> str:
        """The task's name, with the item as Airflow shows it."""
        return self.task if self.index < 0 else f"{self.task}[{self.index}] {str(self.item)[:60]}"


@dataclass(frozen=True)
class Renderer:
    """Renders the tasks of one run of a job."""

    team: str
    name: str
    job: Job
    moments: Moments
    params: Mapping[str, Any]
    conf: Mapping[str, Any]
    shared_variables: frozenset[str]
    variables: Mapping[str, str]
    images: Callable[[str], str]
    """The address of one of the team's images, by its name."""
    commit: Callable[[], str]
    """The commit that is checked out."""
    missing: set[str] = field(default_factory=set)

    def render(self, instance: Instance, outputs: Mapping[str, Any], *, try_all: bool = False) -> Rendered:
        """Return the task's command, arguments and environment; to `try_all`, a Variable without a value is empty.

        Raises:
            RenderingError: a template can't be rendered.
        """
        from jobyard.template_budget import Budget
        from jobyard.template_environment import BoundEnvironment
        from jobyard.template_names import DATE_FILTERS, bound

        environment = BoundEnvironment(Budget(), DATE_FILTERS)
        names = bound(self._context(instance), self._sources(outputs, try_all))
        task = self.job["tasks"][instance.task]

        def rendered(place: str, text: str) -> str:
            if "{" not in text:
                return text
            try:
                return environment.render(text, names)
            except Exception as error:
                raise RenderingError(place, error) from error

        def each(place: str, texts: list[str] | None) -> list[str]:
            return [rendered(f"{place}[{index}]", text) for index, text in enumerate(texts or [])]

        return Rendered(
            command=each("command", task["command"]),
            args=each("args", task["args"]),
            env={name: rendered(f"env.{name}", text) for name, text in task["env"].items()},
        )

    def _context(self, instance: Instance) -> dict[str, Any]:
        start, end = _moment(self.moments.start), _moment(self.moments.end)
        dag_id = f"{self.team}.{self.name}"
        names = {"dag_id": dag_id, "task_id": instance.task, "run_id": self.moments.run_id}
        return {
            "data_interval_start": start,
            "data_interval_end": end,
            "logical_date": start,
            "dag_run": SimpleNamespace(conf=dict(self.conf), run_type=self.moments.kind),
            "run_id": self.moments.run_id,
            "ti": SimpleNamespace(**names, map_index=instance.index, try_number=1),
            "task": SimpleNamespace(item=instance.item),
            "params": self.params,
            "task_instance_key_str": f"{dag_id}__{instance.task}__{start.strftime('%Y%m%d')}",
        }

    def _sources(self, outputs: Mapping[str, Any], try_all: bool) -> Any:
        import pendulum
        from jobyard.template_names import Sources, readable

        def output(task: str) -> object:
            if task not in outputs:
                raise OutputUnknownError(task)
            return outputs[task]

        def find(name: str) -> str | None:
            return self.variables.get(readable(self.team, self.shared_variables, name))

        def get(name: str) -> str:
            text = find(name)
            if text is not None:
                return text
            self.missing.add(name)
            if try_all:
                return ""
            raise MissingVariableError(name)

        return Sources(
            timezone=pendulum.timezone(self.job["timezone"]),
            functions={IMAGE_MACRO: self.images, COMMIT_MACRO: self.commit},
            output=output,
            find_variable=find,
            get_variable=get,
        )


def _moment(moment: datetime) -> Any:
    """The moment as Airflow hands it to templates: pendulum's, in UTC."""
    import pendulum

    return pendulum.instance(moment.astimezone(UTC)).in_timezone("UTC")


def local_image(image: str) -> str:
    """The image's own name, which stands for its address here."""
    return image if is_image_address(image) else f"localhost/jobyard/{image}"
