"""Refuses a node group that the catalogue lacks, and takes away the files of the service that the repository is not on.

cookiecutter runs this in each folder that it makes: once for `cruft create`, and for `cruft update` in the two that it
compares, of the old template and the new, so that a file taken away here is in neither and no update brings it back. A
template has the files of both services, as their names are no place for logic.

The catalogue is read here, and not before anything is made, because a hook is not given the template's folder: here its
copy is in the repository. Where this ends with an error, cookiecutter removes what it made.
"""

from __future__ import annotations

import difflib
import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

# cookiecutter, in whose environment hooks run, depends on PyYAML.
import yaml

CI = "{{ cookiecutter.ci }}"
NODE_GROUPS = r"""
{{ cookiecutter.allowed_node_groups | tojson }}
"""
CATALOGUE = "values/node-groups.yaml"
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


def unknown_groups(answer: str, known: Sequence[str]) -> Iterator[str]:
    """A line for each node group that the catalogue lacks."""
    for group in [name.strip() for name in answer.split(",") if name.strip()]:
        if group in known:
            continue
        close = difflib.get_close_matches(group, known, n=1)
        hint = f"did you mean '{close[0]}'? " if close else ""
        yield f"allowed_node_groups: unknown node group '{group}' ({hint}the catalogue has: {', '.join(known)})"


def main(folder: Path) -> int:
    """Exit code 1 makes cookiecutter stop and remove what it made."""
    catalogue = yaml.safe_load((folder / CATALOGUE).read_text(encoding="utf-8"))
    problems = list(unknown_groups(json.loads(NODE_GROUPS), list(catalogue["nodeGroups"])))
    for problem in problems:
        print(problem, file=sys.stderr)
    if problems:
        return 1
    remove_others(folder, CI)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path()))
