"""Takes away the files of the service that the team's repository is not on.

A template has the files of both, as their names are no place for logic. cookiecutter runs this in each folder that it
makes: once for `cruft create`, and for `cruft update` in the two that it compares, of the old template and the new, so
that a file taken away here is in neither and no update brings it back.
"""

from __future__ import annotations

import shutil
from pathlib import Path

CI = "{{ cookiecutter.ci }}"
OF = {"gitlab": ".gitlab-ci.yml", "github": ".github"}


def remove_others(folder: Path, ci: str) -> None:
    """Leave what is of this service alone."""
    for service, name in OF.items():
        if service == ci:
            continue
        if (folder / name).is_dir():
            shutil.rmtree(folder / name)
        else:
            (folder / name).unlink(missing_ok=True)


if __name__ == "__main__":
    remove_others(Path(), CI)
