"""One platform for all end-to-end tests: the demo itself starts it, and tells its story on it first.

The files run in the order of their names: a cluster that exists already (on a platform of its own), then the first
run, more jobs, what all of them asked of the cluster, and the end, in which the platform is killed and removed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from jobyard_cli.cli.steps import Steps
from jobyard_cli.system.folders import state_dir
from jobyard_local import machine
from jobyard_local.demo.commands import FinishedDemo, run_demo
from jobyard_local.errors import UnsupportedError
from jobyard_local.platform import LocalPlatform
from jobyard_local.settings import Source

Shown = Callable[[], AbstractContextManager[Steps]]
HERE = Path(__file__).parent
NOT_RUN = pytest.StashKey[str]()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """On a machine that can't run the platform these tests are skipped, which the run's last lines say; not in CI."""
    ours = [item for item in items if HERE in item.path.parents]
    try:
        machine.check()
    except UnsupportedError as error:
        if os.environ.get("CI"):
            raise pytest.UsageError(f"the end-to-end tests have to run in CI: {error}") from error
        config.stash[NOT_RUN] = str(error)
        for item in ours:
            item.add_marker(pytest.mark.skip(reason=str(error)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """A run without these tests says so where it is read: at the end."""
    if reason := config.stash.get(NOT_RUN, None):
        terminalreporter.section("the end-to-end tests were NOT run", red=True, bold=True)
        terminalreporter.line(reason, red=True)


@pytest.fixture(scope="session")
def demo(shown: Shown) -> Iterator[FinishedDemo]:
    """The demo, run to its end on a platform that then stays up."""
    platform = LocalPlatform(state_dir("test"), Source.find())
    with platform.claim():
        try:
            platform.down(purge=True)
            with shown() as steps:
                yield run_demo(platform, steps, steps.console)
        finally:
            platform.down(purge=False)


@pytest.fixture
def platform(demo: FinishedDemo) -> LocalPlatform:
    return demo.story.platform
