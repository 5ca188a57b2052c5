"""The trigger in the plugins folder: which library it runs, and what of that library's trouble reaches Airflow."""

import ast
import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from airflow.jobs.triggerer_job_runner import TriggerRunner
from airflow.models.trigger import Trigger
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.triggers.base import BaseTrigger
from api_server import ApiServer
from following_support import ended, pod, run, running, target, until
from jobyard.compat import AIRFLOW_3
from jobyard.following.target import Ending, Kind

LIBRARY = Path(__file__).parents[3] / "dags" / "jobyard"
HAS_ON_KILL = hasattr(BaseTrigger, "on_kill")
TARGET: dict[str, Any] = {
    "pod": "a",
    "uid": "",
    "timeout": None,
    "startup_timeout": 600,
    "task": {"dag_id": "risk.score", "run_id": "manual__2026-11-03T12:00:00+00:00", "map_index": -1},
    "manifest": {"spec": {"containers": [{"name": "base", "args": ["{{ ds }}", "naïve \0 🚀"], "env": []}]}},
    "events": ["1", "2"],
}
WORKS = """
import asyncio

CALLS, GATE = [], asyncio.Event()


async def follow(target, log):
    CALLS.append("follow")
    log.info("line 1 of %s", target["pod"])
    await GATE.wait()
    return {"kind": "succeeded", "message": VERSION}


async def abandon(target):
    CALLS.append("abandon " + target["pod"])
"""


class Bucket:
    """A dags folder with versions of a library."""

    def __init__(self, folder: Path) -> None:
        self.package = folder / "jobyard"
        self.package.mkdir(parents=True)
        shutil.copy(LIBRARY / "__init__.py", self.package)
        self.versions: list[dict[str, Any]] = []

    def add(self, version: str, shared: str | None = None, package: str = "") -> None:
        """Put a version there, the newest."""
        code = f"VERSION = {version!r}\n{WORKS if shared is None else shared}"
        files = {"following/__init__.py": package, "following/shared.py": code}
        for name, text in files.items():
            file = self.package / version / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        sizes = {name: len(text.encode()) for name, text in files.items()}
        self.versions.insert(0, {"folder": version, "files": sizes})
        (self.package / "versions.json").write_text(json.dumps({"versions": self.versions}))


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """An empty bucket, which is Airflow's dags folder."""
    monkeypatch.setenv("AIRFLOW__CORE__DAGS_FOLDER", str(tmp_path / "dags"))
    yield Bucket(tmp_path / "dags")
    for name in [name for name in sys.modules if name.startswith("_jobyard")]:
        del sys.modules[name]


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The plugin's module, as Airflow imports it: by its name, from a folder of plugins, which has nothing else."""
    folder = tmp_path / "plugins"
    folder.mkdir()
    shutil.copy(LIBRARY / "plugin" / "jobyard_trigger.py", folder)
    monkeypatch.syspath_prepend(str(folder))
    sys.modules.pop("jobyard_trigger", None)
    found = import_module("jobyard_trigger")
    assert found.__file__ == str(folder / "jobyard_trigger.py")
    monkeypatch.setattr(found, "FAILED_SECONDS", 0)
    yield found
    sys.modules.pop("jobyard_trigger", None)


@pytest.mark.parametrize("is_lazy", [True, False])
def test_where_plugins_are_loaded_at_the_start_the_operator_is_imported_then(tmp_path: Path, is_lazy: bool) -> None:
    """The tasks of a worker's process share what that has imported."""
    settings = {"LAZY_LOAD_PLUGINS": str(is_lazy), "LOAD_EXAMPLES": "False", "PLUGINS_FOLDER": str(LIBRARY / "plugin")}
    variables = {f"AIRFLOW__CORE__{name}": value for name, value in settings.items()}
    program = f"import airflow, sys; print({KubernetesPodOperator.__module__!r} in sys.modules)"
    environment = {**os.environ, "AIRFLOW_HOME": str(tmp_path), **variables}
    command = [sys.executable, "-W", "ignore", "-c", program]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == str(not is_lazy)


def loaded(version: str) -> ModuleType:
    """Return the module of that version that the plugin has loaded."""
    return sys.modules[f"_jobyard_following_{version}.shared"]


def calls(version: str) -> list[str]:
    """Return what that version was called for; nothing before it is loaded."""
    return list(getattr(sys.modules.get(f"_jobyard_following_{version}.shared"), "CALLS", []))


async def events_of(trigger: Any) -> list[dict[str, Any]]:
    """Return the events of the trigger."""
    return [event.payload async for event in trigger.run()]


def test_it_comes_back_from_airflow_s_database_as_it_was(plugin: Any) -> None:
    trigger = plugin.PodTrigger(**TARGET)
    row = Trigger.from_object(trigger)
    kwargs = row.kwargs
    if AIRFLOW_3:
        from airflow.serialization.decoders import smart_decode_trigger_kwargs

        kwargs = {name: smart_decode_trigger_kwargs(value) for name, value in kwargs.items()}
    assert row.classpath == "jobyard_trigger.PodTrigger"
    again = TriggerRunner.get_trigger_by_classpath(SimpleNamespace(trigger_cache={}), row.classpath)(**kwargs)
    assert again.target == TARGET
    assert again.serialize() == trigger.serialize()


def test_it_runs_the_newest_version_that_is_whole(plugin: Any, bucket: Bucket) -> None:
    bucket.add("v1")
    bucket.add("v2")
    bucket.add("v3")
    (bucket.package / "v3" / "following" / "shared.py").write_text("# the rest is on its way")

    async def act() -> list[dict[str, Any]]:
        task = asyncio.create_task(events_of(plugin.PodTrigger(**TARGET)))
        await until(lambda: calls("v2"))
        loaded("v2").GATE.set()
        return await task

    assert run(act) == [{"kind": "succeeded", "message": "v2"}]


def test_the_next_trigger_runs_a_new_version_and_the_one_before_goes_on_with_its_own(
    plugin: Any, bucket: Bucket
) -> None:
    bucket.add("v1")

    async def act() -> list[dict[str, Any]]:
        first = asyncio.create_task(events_of(plugin.PodTrigger(**TARGET)))
        await until(lambda: calls("v1"))
        bucket.add("v2")
        second, third = (asyncio.create_task(events_of(plugin.PodTrigger(**TARGET))) for _ in range(2))
        await until(lambda: len(calls("v2")) == 2)
        shutil.rmtree(bucket.package / "v1")
        for version in ("v1", "v2"):
            loaded(version).GATE.set()
        assert len(calls("v1")) == 1
        return [*await first, *await second, *await third]

    assert [event["message"] for event in run(act)] == ["v1", "v2", "v2"]


def test_many_triggers_at_once_load_the_library_once(plugin: Any, bucket: Bucket) -> None:
    bucket.add("v1", f"import time\ntime.sleep(0.05)\n{WORKS}")

    async def act() -> None:
        tasks = [asyncio.create_task(events_of(plugin.PodTrigger(**TARGET))) for _ in range(20)]
        await until(lambda: len(calls("v1")) == 20)
        loaded("v1").GATE.set()
        await asyncio.gather(*tasks)

    run(act)


BROKEN = {
    "syntax": "def (",
    "import": "import there_is_no_such_module",
    "exit": "raise SystemExit(3)",
    "name": "nothing",
    "empty": "",
    "raises": "async def follow(target, log):\n    raise KeyError('x')",
    "exits": "async def follow(target, log):\n    raise SystemExit(3)",
    "other arguments": "async def follow(target):\n    pass",
    "not asynchronous": "def follow(target, log):\n    return {}",
    "recursion": "async def follow(target, log):\n    return await follow(target, log)",
}


@pytest.mark.parametrize("code", BROKEN.values(), ids=BROKEN)
def test_a_library_that_is_broken_has_a_worker_follow_the_pod(plugin: Any, bucket: Bucket, code: str) -> None:
    bucket.add("v1", code)
    [event] = run(lambda: events_of(plugin.PodTrigger(**TARGET)))
    found = Ending.of(event)
    assert found.kind is Kind.UNKNOWN and found.message
    # The next version is better.
    bucket.add("v2")

    async def act() -> list[dict[str, Any]]:
        task = asyncio.create_task(events_of(plugin.PodTrigger(**TARGET)))
        await until(lambda: calls("v2"))
        loaded("v2").GATE.set()
        return await task

    assert run(act)[0]["kind"] == "succeeded"


def _without_package(bucket: Bucket) -> None:
    bucket.add("v1")
    (bucket.package / "v1" / "following" / "__init__.py").unlink()


def _exit_in_package(bucket: Bucket) -> None:
    bucket.add("v1", package="raise SystemExit")


MISSING: dict[str, Callable[[Bucket], None]] = {
    "no bucket": lambda bucket: shutil.rmtree(bucket.package.parent),
    "no package": lambda bucket: shutil.rmtree(bucket.package),
    "no version": lambda bucket: (bucket.package / "versions.json").write_text('{"versions": []}'),
    "no JSON": lambda bucket: (bucket.package / "versions.json").write_text("{"),
    "no file of it": _without_package,
    "an exit": _exit_in_package,
    "no library beside it": lambda bucket: None,
    "a chooser that exits": lambda bucket: (bucket.package / "__init__.py").write_text("raise SystemExit"),
}


@pytest.mark.parametrize("harm", MISSING.values(), ids=MISSING)
def test_a_bucket_without_a_library_has_a_worker_follow_the_pod(
    plugin: Any, bucket: Bucket, harm: Callable[[Bucket], None]
) -> None:
    harm(bucket)
    [event] = run(lambda: events_of(plugin.PodTrigger(**TARGET)))
    assert Ending.of(event).kind is Kind.UNKNOWN
    # Nor does anything of it reach the triggerer when the task is cleared.
    run(lambda: plugin.PodTrigger(**TARGET).on_kill())
    run(lambda: plugin.PodTrigger(**TARGET).cleanup())


def in_the_triggerer(plugin: Any, act: Callable[[Any, "asyncio.Task[None]"], Any]) -> Any:
    """Run a trigger in Airflow's own runner, and that beside it; return the runner."""

    async def all_of_it() -> Any:
        runner = TriggerRunner()
        trigger = plugin.PodTrigger(**TARGET)
        trigger.trigger_id = 1
        trigger.task_instance = SimpleNamespace(
            id="1",
            dag_id="d",
            task_id="t",
            run_id="r",
            try_number=1,
            map_index=-1,
            trigger_timeout=None,
            context_carrier=None,
        )
        runner.triggers[1] = {"task": None, "name": "d/t", "events": 0, "is_watcher": False}
        task = asyncio.create_task(runner.run_trigger(1, trigger))
        await act(runner, task)
        await asyncio.gather(task, return_exceptions=True)
        return runner

    return run(all_of_it)


def test_airflow_s_own_runner_gets_one_event(plugin: Any, bucket: Bucket) -> None:
    bucket.add("v1")

    async def act(runner: Any, task: "asyncio.Task[None]") -> None:
        await until(lambda: calls("v1"))
        loaded("v1").GATE.set()
        await task

    runner = in_the_triggerer(plugin, act)
    assert [entry[1].payload["kind"] for entry in runner.events] == ["succeeded"]
    assert calls("v1") == ["follow"]


def test_a_person_s_action_abandons_the_pod(plugin: Any, bucket: Bucket) -> None:
    """From Airflow 3.3 on the runner says so; before, every trigger that is cancelled asks for its task."""
    bucket.add("v1")

    async def act(runner: Any, task: "asyncio.Task[None]") -> None:
        await until(lambda: calls("v1"))
        runner.triggers[1]["task"] = task
        runner.to_cancel.append(1)
        await runner.cancel_triggers()
        await asyncio.wait({task}, timeout=5)
        assert task.cancelled()

    in_the_triggerer(plugin, act)
    assert calls("v1") == ["follow", "abandon a"]


def test_a_triggerer_that_stops_abandons_nothing_where_airflow_says_why(plugin: Any, bucket: Bucket) -> None:
    bucket.add("v1")

    async def act(runner: Any, task: "asyncio.Task[None]") -> None:
        await until(lambda: calls("v1"))
        task.cancel()
        await asyncio.wait({task}, timeout=5)

    in_the_triggerer(plugin, act)
    assert (["follow"] if HAS_ON_KILL else ["follow", "abandon a"]) == calls("v1")


def test_abandoning_takes_no_longer_than_airflow_waits(
    plugin: Any, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.add("v1", "import asyncio\n\n\nasync def abandon(target):\n    await asyncio.sleep(60)\n")
    monkeypatch.setattr(plugin, "ABANDON_SECONDS", 0.05)
    run(lambda: plugin.PodTrigger(**TARGET).on_kill(), 5)


def test_one_that_ended_abandons_nothing(plugin: Any, bucket: Bucket) -> None:
    bucket.add("v1")

    async def act() -> None:
        trigger = plugin.PodTrigger(**TARGET)
        task = asyncio.create_task(events_of(trigger))
        await until(lambda: calls("v1"))
        loaded("v1").GATE.set()
        await task
        await trigger.cleanup()

    run(act)
    assert calls("v1") == ["follow"]


def test_the_real_library_by_the_plugin(
    plugin: Any, server: ApiServer, kubeconfig: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__DAGS_FOLDER", str(LIBRARY.parent))
    server.put(pod("a", **running()))
    lines: list[str] = []

    async def act() -> list[dict[str, Any]]:
        trigger = plugin.PodTrigger(**target(kubeconfig).arguments())
        log = SimpleNamespace(info=lines.append, warning=lines.append)
        monkeypatch.setattr(type(trigger), "log", property(lambda self: log))
        library = await asyncio.to_thread(plugin._library)
        monkeypatch.setattr(library, "LEAST_SECONDS", 0)
        task = asyncio.create_task(events_of(trigger))
        await until(lambda: server.streams == 3, 10)
        server.log("a", b"one\n")
        server.status("a", **ended(message="[1]"))
        found = await task
        for team in library.shared()._teams.values():
            await team.close()
        return found

    [event] = run(act)
    found = Ending.of(event)
    assert (found.kind, found.output, found.log_complete) == (Kind.SUCCEEDED, "[1]", True)
    assert lines == ["[base] one"]
    for name in [name for name in sys.modules if name.startswith("_jobyard")]:
        del sys.modules[name]


def test_the_package_imports_nothing_of_the_library_but_itself() -> None:
    """The triggerer may have another version of that loaded, or none."""
    for file in (LIBRARY / "following").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                assert node.level <= 1, file
                names = [node.module or ""] if node.level == 0 else []
            assert not any(name.split(".")[0].startswith("jobyard") for name in names), file
