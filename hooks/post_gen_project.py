"""Finishes a team's repository: the files of its git host alone, and `.cruft.json`, which says where it came from.

The template has the files of both hosts, to keep logic out of file names. cookiecutter runs this in each folder that
it makes: once for a new repository, and for `cruft update` in the two that it compares, of the old template and the
new, so that a file removed here is in neither and no update restores it.

cruft writes `.cruft.json` itself. Under plain cookiecutter this does, with the same content, as pipelines and `jobyard
upgrade` need it. It imports nothing of Jobyard, which need not be installed where cookiecutter is.

It also refuses a node group that the catalogue lacks: here the catalogue's copy is in the repository, while the hook
that runs before anything is made is not given the template's folder. Where this ends with an error, cookiecutter
removes what it made.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

# cookiecutter, in whose environment hooks run, depends on PyYAML.
import yaml

ANSWERS = r"""{{ cookiecutter | tojson }}"""
ORDER = r"""{{ cookiecutter.keys() | list | tojson }}"""
"""The filter sorts the keys of a mapping; cruft keeps their order."""
OF = {"gitlab": ".gitlab-ci.yml", "github": ".github"}
STATE = ".cruft.json"
CATALOGUE = "values/node-groups.yaml"
LONGEST_LINK = 200
ARCHIVAL = ".git_archival.txt"
"""Git writes the commit into it in each archive that it makes, so in the archives that git hosts offer."""
OF_THIS_RUN = ("_template", "_output_dir", "_repo_dir", "_checkout")
"""What cookiecutter adds to the answers; `_template` is noted as the address that was found."""
COMMIT = re.compile("[0-9a-f]{40,64}")
REMOTE = re.compile(r"(https?|ssh|git)://|[A-Za-z0-9_-]+@[A-Za-z0-9.-]+:")
ARCHIVES = (
    re.compile(r"(https://[^/]+/.+?)/-/archive/.+\.zip"),
    re.compile(r"(https://[^/]+/[^/]+/[^/]+)/archive/.+\.zip"),
)
"""Addresses of archives on GitLab and GitHub; the first group is the repository's."""


@dataclass
class Source:
    """Address and commit of the platform's repository, "" where that is not known; `notes` say what to do about it."""

    address: str = ""
    commit: str = ""
    notes: list[str] = field(default_factory=list)


def remove_others(folder: Path, ci: str) -> None:
    """Remove the files of the other services."""
    for service, name in OF.items():
        if service == ci:
            continue
        if (folder / name).is_dir():
            shutil.rmtree(folder / name)
        else:
            (folder / name).unlink(missing_ok=True)


def put_what_is_linked(folder: Path, template: Path, linked: list[str]) -> None:
    """Replace files that have a link's text with what the template's links lead to.

    cookiecutter unpacks a zip, and git checks out on Windows, each link as a file with the link's target in it.
    """
    (inside,) = (one for one in template.iterdir() if one.name.startswith("{"))
    for name in linked:
        path = folder / name
        if not path.is_file() or path.stat().st_size > LONGEST_LINK:
            continue
        source = (inside / name).parent / path.read_text(encoding="utf-8").strip()
        if source.is_dir():
            path.unlink()
            shutil.copytree(source, path)
        elif source.is_file():
            shutil.copy(source, path)


def find_source(answers: dict[str, Any], folder: Path) -> Source:
    """Return where the template in a folder is from: a git work tree, or an archive of one."""
    source = _of_work_tree(folder) if _is_work_tree(folder) else _of_archive(folder, str(answers["_template"]))
    source.address = str(answers.get("platform_url") or "") or source.address
    source.notes = [*_missing(source), *source.notes]
    return source


def template_folder(answers: dict[str, Any]) -> Path:
    """Return the template's folder. cookiecutter names it relative to its own folder, and runs this in another."""
    named = str(answers.get("_repo_dir") or answers["_template"])
    # On Linux the folder that cookiecutter is in while it runs a hook is the template's.
    candidates = [Path(named), Path(f"/proc/{os.getppid()}/cwd")]
    candidates += [Path(start) / named for start in (os.environ.get("PWD"), answers.get("_output_dir")) if start]
    found = (one for one in candidates if (one / "cookiecutter.json").is_file() and (one / "hooks").is_dir())
    return next(found, candidates[0]).resolve()


def _is_work_tree(folder: Path) -> bool:
    """Return whether the folder is the top of a git work tree; one further up lacks the template's commits."""
    top = git(folder, "rev-parse", "--show-toplevel")
    return bool(top) and Path(top).resolve() == folder


def _of_work_tree(folder: Path) -> Source:
    source = Source(_origin(folder) or str(folder), git(folder, "rev-parse", "--verify", "HEAD"))
    if git(folder, "status", "--porcelain", "--", ".", ":!values/teams", ":!values/overrides"):
        source.notes.append(
            f"{folder} has changes that are in no commit. They are in this repository, but its pipelines and the next "
            f"upgrade go by commit {source.commit[:12]}: commit them there, and make this repository again"
        )
    if _origin(folder) and not git(folder, "branch", "--remotes", "--contains", "HEAD"):
        source.notes.append(
            f"commit {source.commit[:12]} is in no branch of {source.address} that {folder} knows of: push it before "
            "this repository, as pipelines fetch it from there"
        )
    return source


def _origin(folder: Path) -> str:
    """Return the address of `origin` without a password: a pipeline's clone has one, which no file may contain."""
    address = git(folder, "remote", "get-url", "origin")
    parts = urlsplit(address)
    if parts.scheme in ("http", "https"):
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    if address and not REMOTE.match(address):
        return str((folder / (parts.path if parts.scheme == "file" else address)).resolve())
    return address


def _of_archive(folder: Path, template: str) -> Source:
    file = folder / ARCHIVAL
    noted = file.read_text(encoding="utf-8") if file.is_file() else ""
    found = COMMIT.search(noted)
    archives = (pattern.fullmatch(template) for pattern in ARCHIVES)
    address = next((f"{archive[1]}.git" for archive in archives if archive), "")
    return Source(address, found[0] if found else "")


def _missing(source: Source) -> list[str]:
    """Return what a person must do before pipelines can install `jobyard`."""
    notes = []
    if not source.commit:
        notes.append(
            "the template's commit is not known, as it came neither from a git repository nor from an archive that "
            f'git made: write the commit of the platform\'s repository under "commit" in {STATE}'
        )
    if not source.address:
        notes.append(
            "nothing says where the platform's repository is: answer platform_url=https://... next time; now write its "
            f'address under "template" in {STATE}'
        )
    elif not REMOTE.match(source.address):
        notes.append(
            f"{source.address} is on this machine, where pipelines can't reach it: answer platform_url=https://... "
            f'next time; now write an https address of the platform\'s repository under "template" in {STATE}'
        )
    return notes


def git(folder: Path, *arguments: str) -> str:
    """Return git's output; "" if it fails, or is not installed."""
    command = ["git", "-C", str(folder), *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    except FileNotFoundError:
        return ""


def state(answers: dict[str, Any], source: Source) -> str:
    """Return the content of `.cruft.json`, as cruft writes it."""
    context = {key: value for key, value in answers.items() if key not in OF_THIS_RUN}
    context = {**context, "_template": source.address, "_commit": source.commit}
    noted = {
        "template": source.address,
        "commit": source.commit,
        "checkout": answers.get("_checkout"),
        "context": {"cookiecutter": context},
        "directory": None,
    }
    return json.dumps(noted, ensure_ascii=False, indent=2) + "\n"


def report(answers: dict[str, Any], source: Source) -> str:
    """Return the last output: what was made, what to fix, and the next steps."""
    team, name = answers["team"], answers["repo_name"]
    made_from = f"{source.address or 'a folder'} at {source.commit[:12] or 'a commit that is not known'}"
    notes = [f"\n  ! {note}" for note in source.notes]
    return f"""
Made the repository {name} of team {team} from {made_from}{"".join(notes)}

Next:
  1. Commit it, and push it to its address:
     cd {name} && git init -b main && git add -A && git commit -m 'Make the repository'
     git remote add origin {answers["repo_url"]} && git push -u origin main
  2. In the platform's repository, unless values/teams/{team}.yaml exists already, add the team:
     jobyard team new {team} --owner {answers["owner"]} --repo-url {answers["repo_url"]} --file-only
     Its README, "Add a team", says what follows: merge request, IAM roles, publish-platform.
  3. Add a job: README.md of {name} says how."""


def unknown_groups(answer: str, known: Sequence[str]) -> Iterator[str]:
    """Yield a line for each node group that the catalogue lacks."""
    for group in [name.strip() for name in answer.split(",") if name.strip()]:
        if group in known:
            continue
        close = difflib.get_close_matches(group, known, n=1)
        hint = f"did you mean '{close[0]}'? " if close else ""
        yield f"allowed_node_groups: unknown node group '{group}' ({hint}the catalogue has: {', '.join(known)})"


def problems(answers: dict[str, Any]) -> list[str]:
    """Return the problems of the answers that only the catalogue shows."""
    catalogue = yaml.safe_load(Path(CATALOGUE).read_text(encoding="utf-8"))
    return list(unknown_groups(answers["allowed_node_groups"], list(catalogue["nodeGroups"])))


def main() -> int:
    """Under cruft, only the other host's files go. Exit code 1 makes cookiecutter remove what it made."""
    sorted_answers = json.loads(ANSWERS)
    answers = {key: sorted_answers[key] for key in json.loads(ORDER)}
    by_cruft = "_commit" in answers
    template = template_folder(answers)
    if not by_cruft:
        put_what_is_linked(Path(), template, answers["_copy_without_render"])
    if found := problems(answers):
        print("\n".join(found), file=sys.stderr)
        return 1
    remove_others(Path(), answers["ci"])
    if not by_cruft:
        source = find_source(answers, template)
        Path(STATE).write_text(state(answers, source), encoding="utf-8")
        print(report(answers, source))
    return 0


if __name__ == "__main__":
    sys.exit(main())
