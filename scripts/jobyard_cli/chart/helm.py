"""Helm, which comes with this package."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from jobyard_cli.errors import JobyardError
from jobyard_cli.system.programs import finish

DEADLINE = 300.0
"""Seconds for one chart; one takes less than a second on an idle machine."""


class RenderError(JobyardError):
    """Helm refuses the values; the message is Helm's."""


def render(chart: Path, values: Iterable[Path], release: str = "") -> str:
    """Return the output of `helm template` for a chart, under the release's name or else the chart's.

    Raises:
        RenderError: it refuses.
    """
    name = release or chart.name
    command = [str(Path(sys.executable).parent / "helm"), "template", name, str(chart)]
    for file in values:
        command += ["-f", str(file)]
    done = finish(command, what=f"helm template {name}", deadline=DEADLINE)
    if done.code != 0:
        raise RenderError(done.complaint)
    return done.text
