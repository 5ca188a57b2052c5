"""Helm, which comes with this package."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from jobyard_cli.errors import JobyardError


class RenderError(JobyardError):
    """Helm refuses the values; the message is Helm's."""


def render(chart: Path, values: Iterable[Path]) -> str:
    """`helm template` of a chart.

    Raises:
        RenderError: it refuses.
    """
    files = [argument for file in values for argument in ("-f", str(file))]
    command = [str(Path(sys.executable).parent / "helm"), "template", chart.name, str(chart), *files]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RenderError(done.stderr.strip())
    return done.stdout
