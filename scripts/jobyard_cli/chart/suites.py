"""The suites that lie beside the team's chart, run by helm-unittest."""

from __future__ import annotations

import shutil
from pathlib import Path

from jobyard_cli.chart.manifests import CHART, MissingChartError, has_chart
from jobyard_cli.errors import JobyardError
from jobyard_cli.go.modules import GOMOD, pinned_version
from jobyard_cli.go.toolchain import ENVIRONMENT, go_command
from jobyard_cli.system.locks import one_builder
from jobyard_cli.system.programs import Report, attach, run

NAME = "helm-unittest"
MODULE = "github.com/helm-unittest/helm-unittest"
PACKAGE = f"{MODULE}/cmd/helm-unittest"


class MissingSuitesError(JobyardError):
    """The chart has no suite, so that nothing would be tested."""

    def __init__(self, repo: Path) -> None:
        super().__init__(f"{repo / CHART / 'tests'} has no *_test.yaml, the suites of the team's chart")


def find_suites(repo: Path) -> list[Path]:
    """Return the suites of the team's chart.

    Raises:
        MissingChartError: the repository has no chart.
        MissingSuitesError: it has no suite.
    """
    if not has_chart(repo):
        raise MissingChartError(repo)
    suites = sorted((repo / CHART / "tests").glob("*_test.yaml"))
    if not suites:
        raise MissingSuitesError(repo)
    return suites


def run_suites(repo: Path, runner: Path) -> int:
    """Run them all, with helm-unittest's words on standard output; its exit code."""
    return attach([runner, "--strict", CHART], cwd=repo)


def program(cache: Path, report: Report) -> Path:
    """Return helm-unittest: the machine's own, or else the one that `gomod/` pins, built once from source.

    Raises:
        ProgramError: a download or the build failed.
    """
    if installed := shutil.which(NAME):
        return Path(installed)
    folder, version = cache / NAME, pinned_version(MODULE)
    built = folder / f"{NAME}-{version}"
    with one_builder(folder / ".lock"):
        if not built.exists():
            go, partial = go_command(report), folder / f"{NAME}.partial"
            report(f"building {NAME} {version}")
            build: list[str | Path] = [*go, "build", "-ldflags=-s -w", "-o", partial, PACKAGE]
            run(build, what=f"building {NAME}", cwd=GOMOD, environment=ENVIRONMENT)
            partial.rename(built)
    return built
