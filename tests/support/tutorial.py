"""The tutorial's page, in two parts: before a platform is started, and on it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from jobyard_cli.system.folders import cache_dir

from tests.support.pages import Block, blocks
from tests.support.paths import ROOT

PAGE = ROOT / "docs" / "tutorial.md"
AUTHOR, EMAIL = "Test", "test@example.com"


def page() -> list[Block]:
    """Return all blocks."""
    return list(blocks(PAGE.read_text(encoding="utf-8")))


def before_the_platform() -> list[Block]:
    """Return the blocks before the one that starts the platform."""
    every = page()
    (start,) = (number for number, block in enumerate(every) if "jobyard local up" in block.body and block.is_command)
    return every[:start]


def environment(template: Path, folder: Path) -> dict[str, str]:
    """The variables of a person who has this `jobyard` and a clone of the template; other files go into a folder."""
    settings = folder / "cookiecutter.yaml"
    settings.write_text(f"replay_dir: {folder}/replay\ncookiecutters_dir: {folder}/cookiecutters\n")
    return {
        **os.environ,
        "JOBYARD": str(template),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        # The environments of images are kept, as on a person's machine.
        "JOBYARD_CACHE": str(cache_dir()),
        "COOKIECUTTER_CONFIG": str(settings),
        "NO_COLOR": "1",
        "GIT_AUTHOR_NAME": AUTHOR,
        "GIT_AUTHOR_EMAIL": EMAIL,
        "GIT_COMMITTER_NAME": AUTHOR,
        "GIT_COMMITTER_EMAIL": EMAIL,
    }
