"""The trigger of Jobyard's pods, for the plugins folder of Airflow's environment.

It goes there once and never changes: what it does is in the library in the dags folder, in the version that is the
newest there when a trigger starts. The triggerer of Airflow 3 has the plugins folder on its path, and not the dags
folder; where this file is missing, workers follow the pods themselves.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from threading import Lock
from types import ModuleType
from typing import Any

from airflow.configuration import conf
from airflow.triggers.base import BaseTrigger, TriggerEvent


class PodTrigger(BaseTrigger):
    """Follows one pod to its end, and says how it ended."""

    def __init__(self, **target: Any) -> None:
        """`target` is what the library wrote of the pod; this file does not look at it."""
        super().__init__()  # type: ignore[no-untyped-call]
        self.target = target
        self._ended = False

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what Airflow stores of the trigger."""
        return "jobyard_trigger.PodTrigger", self.target

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield how the pod ended; where the library fails, a worker follows the pod."""
        try:
            library = await asyncio.to_thread(_library)
            ending = await library.follow(self.target, self.log)
        except (Exception, SystemExit) as error:
            self.log.warning(f"A worker follows the pod, as the triggerer can't: {type(error).__name__}: {error}")
            ending = {"kind": "unknown", "message": f"{type(error).__name__}: {error}"}
            await asyncio.sleep(FAILED_SECONDS)
        self._ended = True
        yield TriggerEvent(ending)  # type: ignore[no-untyped-call]

    async def on_kill(self) -> None:
        """Delete the pod, as somebody has cleared or marked the task, or deleted its run."""
        try:
            library = await asyncio.to_thread(_library)
            await asyncio.wait_for(library.abandon(self.target), ABANDON_SECONDS)
        except (Exception, SystemExit) as error:
            self.log.warning(f"Could not delete the pod: {type(error).__name__}: {error}")

    async def cleanup(self) -> None:
        """Do the same in Airflow 2, which has no `on_kill`: a trigger that was cancelled has a task to ask after."""
        if not self._ended and not hasattr(BaseTrigger, "on_kill"):
            await self.on_kill()


ABANDON_SECONDS = 20
FAILED_SECONDS = 20
"""Airflow's scheduler fails a task that is queued again before it has taken note that the worker which deferred it has
ended."""
LOADING = Lock()


def _library() -> ModuleType:
    """Return the part of the library that follows pods, in the newest version that is whole."""
    package = Path(conf.get("core", "dags_folder"), "jobyard")
    with LOADING:
        # It chooses the version, and imports nothing.
        chosen = _load("_jobyard_versions", package / "__init__.py", [])
        folder = Path(chosen.__path__[0], "following")
        name = f"_jobyard_following_{chosen.VERSION}"
        if name not in sys.modules:
            sys.modules[name] = _load(name, folder / "__init__.py", [str(folder)])
        return import_module(f"{name}.shared")


def _load(name: str, file: Path, path: list[str]) -> ModuleType:
    spec = spec_from_file_location(name, file, submodule_search_locations=path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is not a module")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _import_early() -> None:
    """Import what takes a task longest to import, in an Airflow that loads plugins when it starts.

    A worker's process does it once then, and the tasks that it starts share it.
    """
    if not conf.getboolean("core", "lazy_load_plugins"):
        import_module("airflow.providers.cncf.kubernetes.operators.pod")


_import_early()
