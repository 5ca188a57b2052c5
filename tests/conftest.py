"""What every kind of test shares: the built programs, and long set-up that is seen while it happens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from jobyard_cli.local import tools
from jobyard_cli.local.settings import cache_dir
from jobyard_cli.steps import Steps, new_console


@pytest.fixture(scope="session")
def shown(pytestconfig: pytest.Config) -> Callable[[], AbstractContextManager[Steps]]:
    """Enter what this makes around long set-up: its steps are printed as they happen, past pytest's capture."""

    @contextmanager
    def enter() -> Iterator[Steps]:
        capture = pytestconfig.pluginmanager.getplugin("capturemanager")
        assert capture is not None
        with capture.global_and_fixture_disabled():
            console = new_console()
            console.print()
            with Steps(console) as steps:
                yield steps

    return enter


@pytest.fixture(scope="session")
def programs(shown: Callable[[], AbstractContextManager[Steps]]) -> Path:
    """The folder with the programs of Kubernetes, Argo CD and Helm's tests, built where the cache has none."""
    title = "Kubernetes, Argo CD, kwok and the S3 server, from source"
    with shown() as steps, steps.step(title) as report:
        return tools.ensure(cache_dir(), report)
