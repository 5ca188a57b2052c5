"""What the environments would refuse of a pod: images from elsewhere, timeouts longer than a pod may run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from jobyard.contract import LONGEST_TASK

from jobyard_cli.check.findings import Finding
from jobyard_cli.check.parts import defaults_of, is_pod, tasks_of
from jobyard_cli.images.addresses import image_registries
from jobyard_cli.parsing.documents import Document, KeyPath
from jobyard_cli.parsing.durations import parse_duration
from jobyard_cli.team.repo import TeamRepo


def check_environment_limits(document: Document, repo: TeamRepo) -> Iterator[Finding]:
    """A finding for each task whose pod an environment of the platform's does not let in as it is."""
    if any(is_pod(task) for task in tasks_of(document).values()):
        yield from _timeout(document, repo, ("defaults",), defaults_of(document))
    for name, task in tasks_of(document).items():
        if is_pod(task):
            yield from _image(document, repo, ("tasks", name), task.get("image"))
            yield from _timeout(document, repo, ("tasks", name), task)


def _image(document: Document, repo: TeamRepo, path: KeyPath, image: Any) -> Iterator[Finding]:
    """Of an address; what a name stands for is only known when the task runs, and the library says it then."""
    if not isinstance(image, str) or image in repo.images or not any(sign in image for sign in "/:@"):
        return
    for environment, values in repo.environments.items():
        registries = image_registries(values)
        if not any(image.startswith(f"{registry}/") for registry in registries):
            known = ", ".join(registries) or "none"
            message = f"image '{image}' is of none of the registries of environment {environment}: {known}"
            yield document.finding((*path, "image"), message, "image")


def _timeout(document: Document, repo: TeamRepo, path: KeyPath, part: dict[str, Any]) -> Iterator[Finding]:
    seconds = _seconds(part.get("timeout"))
    for environment, values in repo.environments.items():
        longest = values.get("longestTask", LONGEST_TASK)
        if seconds is not None and isinstance(longest, int) and seconds > longest:
            message = f"timeout {part['timeout']} is longer than a pod may run in environment {environment}: {longest}s"
            yield document.finding((*path, "timeout"), message, "timeout")


def _seconds(stated: Any) -> int | None:
    """The duration; None where it is none, which the schema says."""
    try:
        return parse_duration(stated)
    except (TypeError, ValueError):
        return None
