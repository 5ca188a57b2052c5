"""Runs the tasks of a job, each after those that it needs, and keeps what they print and leave."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass, field
from threading import Event, Lock
from typing import TYPE_CHECKING

from jobyard.entries import Task
from jobyard.errors import GateError, OutputError
from jobyard.output_values import Condition, read_list, read_output, read_unneeded

from jobyard_cli.errors import JobyardError
from jobyard_cli.parsing.durations import duration_text
from jobyard_cli.running.backends import Backend, Started
from jobyard_cli.running.data_folder import DataFolder
from jobyard_cli.running.prepare import Prepared, chosen_items
from jobyard_cli.running.rendering import Instance
from jobyard_cli.running.store import Place
from jobyard_cli.running.trigger_rules import State, decide
from jobyard_cli.system.errors import tail
from jobyard_cli.system.programs import exit_code

if TYPE_CHECKING:
    from jobyard_cli.cli.steps import Step, Steps

LOOK_SECONDS = 0.2
"""How often a running task is looked at, and its last line shown."""
LINES = 20
"""As many lines of a failed task's log are in its message."""
_READ_BYTES = 8192


class FailedError(Exception):
    """A task has failed here; its text says why."""


@dataclass(frozen=True)
class Ended:
    """How an instance of a task has ended, and why, in words."""

    instance: Instance
    state: State
    words: str = ""


@dataclass
class Outcome:
    """How a run has ended."""

    ended: list[Ended] = field(default_factory=list)

    def of(self, state: State) -> list[Ended]:
        """The instances that ended so."""
        return [one for one in self.ended if one.state is state]

    @property
    def has_failed(self) -> bool:
        """Whether any task has failed."""
        return bool(self.of(State.FAILED) or self.of(State.UPSTREAM_FAILED))

    def states(self, task: str) -> list[State]:
        """The states of a task's instances."""
        return [one.state for one in self.ended if one.instance.task == task]


class JobRun:
    """One run of a job, or of one of its tasks."""

    def __init__(
        self,
        prepared: Prepared,
        backend: Backend,
        steps: Steps,
        *,
        secrets: Mapping[str, Mapping[str, str]],
        given: Mapping[str, str],
        data: DataFolder | None,
        parallel: int,
        say: Callable[[str], None],
    ) -> None:
        """`secrets` are variables by task, `given` those of every task; `parallel` instances run at once.

        `say` prints a line of a task as it comes.
        """
        self._prepared = prepared
        self._backend = backend
        self._steps = steps
        self._secrets = secrets
        self._given = given
        self._data = data
        self._parallel = parallel
        self._say = say
        self._lists = _used_as_lists(prepared.tasks)
        self._outcome = Outcome()
        self._running: set[Started] = set()
        self._lock = Lock()
        self._stopped = Event()

    def run(self) -> Outcome:
        """Run the tasks; how each ended.

        Raises:
            EngineError: an image can't be built.
            ProgramError: an image's requirements can't be installed.
            DataFolderError: what was written can't be files of the data's folder.
            KeyboardInterrupt: a person ended the run; so are its tasks.
        """
        self._prepared.store.make()
        if self._data is not None:
            with self._steps.step("data") as report:
                self._data.load(lambda line: report(_plain(line)))
        for image in sorted({self._prepared.tasks[name]["image"] for name in self._prepared.pods}):
            with self._steps.step(f"image {image}") as report:
                self._backend.prepare(image, lambda line, report=report: report(_plain(line)))  # type: ignore[misc]
        for name in self._prepared.chosen:
            try:
                self._outcome.ended += self._task(name)
            finally:
                if self._data is not None:
                    self._data.save()
        return self._outcome

    def _task(self, name: str) -> list[Ended]:
        task = self._prepared.tasks[name]
        whole = Instance(name)
        if self._prepared.is_whole and (state := self._decided(task)) is not State.RUN:
            return [self._passed_over(whole, state, _upstream_words(task, self._outcome))]
        if task.get("type"):
            self._steps.note(f"[dim]–[/dim] {name}: not run here ({task['type']}), taken as passed")
            return [Ended(whole, State.SUCCESS)]
        try:
            if words := self._closed_gate(task):
                return [self._passed_over(whole, State.SKIPPED, words)]
            instances = self._instances(name, task)
        except (GateError, OutputError, FailedError) as error:
            self._steps.note(f"[red]✗[/red] {name}: {_plain(str(error))}")
            return [Ended(whole, State.FAILED, str(error))]
        if not instances:
            return [self._passed_over(whole, State.SKIPPED, "its foreach has no items")]
        ended = self._all(instances)
        self._keep(name, task)
        return ended

    def _decided(self, task: Task) -> State:
        states: list[State] = []
        for need in task["needs"]:
            states += self._outcome.states(need)
        return decide(task["trigger_rule"], states)

    def _passed_over(self, instance: Instance, state: State, words: str) -> Ended:
        what = "skipped" if state is State.SKIPPED else "not run"
        self._steps.note(f"[yellow]–[/yellow] {instance.task} {what}: {_plain(words)}")
        return Ended(instance, state, words)

    def _closed_gate(self, task: Task) -> str:
        """Why the task's gate is closed, in words; "" if it is open, or the task has none."""
        gate = task.get("gate")
        if not gate:
            return ""
        condition = Condition(gate["output_of"], gate["value"], gate["test"], gate["bound"])
        holds, words = condition.judge(self._output(gate["output_of"]))
        return "" if holds else f"the gate is closed: {words}"

    def _output(self, task: str) -> object:
        if task not in self._prepared.outputs:
            raise FailedError(f"task {task} has left no output")
        return self._prepared.outputs[task]

    def _instances(self, name: str, task: Task) -> list[Instance]:
        foreach = task.get("foreach")
        if not foreach:
            return [Instance(name)]
        items = foreach["items"]
        if items is None:
            found = self._output(str(foreach["output_of"]))
            if not isinstance(found, list):
                raise FailedError(f"the output of {foreach['output_of']} must be a list for the foreach")
            items = found
        self._prepared.store.forget(name, len(items))
        return [Instance(name, items[index], index) for index in chosen_items(items, self._prepared.items)]

    def _all(self, instances: list[Instance]) -> list[Ended]:
        """Run the instances of one task, some at the same time."""
        foreach = self._prepared.tasks[instances[0].task].get("foreach")
        most = min(self._parallel, (foreach and foreach["concurrency"]) or self._parallel, len(instances))
        with ThreadPoolExecutor(most) as pool:
            futures = [pool.submit(self._one, instance) for instance in instances]
            try:
                wait(futures)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                self._end_all()
                raise
        return [future.result() for future in futures]

    def _end_all(self) -> None:
        self._stopped.set()
        with self._lock:
            running = list(self._running)
        for started in running:
            started.end()

    def _one(self, instance: Instance) -> Ended:
        place = self._prepared.store.place(instance)
        place.begin()
        try:
            with self._steps.step(_plain(instance.label)) as report:
                self._run_program(instance, place, report)
        except FailedError as error:
            return Ended(instance, State.FAILED, str(error))
        return Ended(instance, State.SUCCESS)

    def _run_program(self, instance: Instance, place: Place, report: Step) -> None:
        """Run the instance's program to its end, and keep its output.

        Raises:
            FailedError: it did not succeed.
        """
        task = self._prepared.tasks[instance.task]
        given = {**self._given, **self._secrets.get(instance.task, {})}
        try:
            rendered = self._prepared.renderer.render(instance, self._prepared.outputs)
            started = self._backend.start(task, instance, rendered, place, given)
        except (JobyardError, OSError) as error:
            raise FailedError(str(error)) from error
        with ExitStack() as stack:
            stack.callback(started.end)
            with self._lock:
                self._running.add(started)
            stack.callback(self._running.discard, started)
            code = self._followed(started, task, place, report, instance)
        if code != 0:
            raise FailedError(_with_log(self._backend.failure(task, code), place))
        try:
            self._read_output(instance, task, place)
        except OutputError as error:
            raise FailedError(str(error)) from error

    def _followed(self, started: Started, task: Task, place: Place, report: Step, instance: Instance) -> int:
        """The exit code of the program once it has ended; what it prints is shown meanwhile."""
        deadline = time.monotonic() + (task["timeout"] or float("inf"))
        log = _Log(place, report, lambda line: self._say(f"{instance.label} | {line}"))
        while True:
            code = exit_code(started.process, LOOK_SECONDS)
            log.show()
            if code is not None:
                return code
            if self._stopped.is_set():
                raise FailedError("the run was ended")
            if time.monotonic() > deadline:
                limit = duration_text(task["timeout"] or 0)
                raise FailedError(_with_log(f"it ran for longer than its timeout of {limit}", place))

    def _read_output(self, instance: Instance, task: Task, place: Place) -> None:
        """Keep the output; one that no task needs may be missing or invalid, as in Airflow."""
        text = place.text()
        if task.get("output"):
            as_list = instance.task in self._lists and not task.get("foreach")
            output = read_list(text) if as_list else read_output(text)
        else:
            try:
                output = read_unneeded(text)
            except OutputError:
                return
        if output is not None:
            self._prepared.store.keep(instance, output)

    def _keep(self, name: str, task: Task) -> None:
        """Let the tasks after this one have its output."""
        kept = self._prepared.store.kept(name, is_foreach=bool(task.get("foreach")))
        if kept is not None:
            self._prepared.outputs[name] = kept


class _Log:
    """A log that grows: its last line is what the step is doing, and each line may be said."""

    def __init__(self, place: Place, report: Step, say: Callable[[str], None]) -> None:
        self._place = place
        self._report = report
        self._say = say
        self._read = 0
        self._rest = b""

    def show(self) -> None:
        """Show what has come since."""
        with self._place.log.open("rb") as log:
            log.seek(self._read)
            new = log.read()
        if not new:
            return
        self._read += len(new)
        *lines, self._rest = (self._rest + new).split(b"\n")
        for line in lines:
            self._say(line.decode("utf-8", "replace").rstrip("\r"))
        if lines:
            self._report(_plain(lines[-1].decode("utf-8", "replace"))[:120])


def _used_as_lists(tasks: Mapping[str, Task]) -> set[str]:
    """The tasks whose output is the list of a `foreach`."""
    used: set[str] = set()
    for task in tasks.values():
        if (foreach := task.get("foreach")) and foreach["output_of"]:
            used.add(foreach["output_of"])
    return used


def _with_log(words: str, place: Place) -> str:
    with place.log.open("rb") as log:
        log.seek(max(0, place.log.stat().st_size - _READ_BYTES))
        end = log.read().decode("utf-8", "replace")
    if not end.strip():
        return f"{words}; it printed nothing"
    return f"{words}; the end of its log:\n{tail(end, LINES)}\n  the whole log: {place.log}"


def _upstream_words(task: Task, outcome: Outcome) -> str:
    """Which of the tasks that it needs did not succeed, in words."""
    parts: list[str] = []
    for need in task["needs"]:
        states = sorted(set(outcome.states(need)))
        parts.append(f"{need} {'/'.join(state.replace('_', ' ') for state in states)}")
    return f"trigger rule {task['trigger_rule']}, and: {', '.join(parts)}"


def _plain(text: str) -> str:
    """The text for a console: no markup, no control characters."""
    from rich.markup import escape

    printable = "".join(character if character.isprintable() else " " for character in text)
    return escape(printable)
