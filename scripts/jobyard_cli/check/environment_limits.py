"""Check what each environment would refuse of a pod: images of other registries, and timeouts above its maximum."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from jobyard.contract import LONGEST_TASK

from jobyard_cli.check.findings import Finding
from jobyard_cli.check.parts import defaults_of, is_pod, tasks_of
from jobyard_cli.images.addresses import image_registries
from jobyard_cli.parsing.documents import Document, KeyPath
from jobyard_cli.parsing.durations import duration_text, parse_duration
from jobyard_cli.team.repo import TeamRepo


def check_environment_limits(document: Document, repo: TeamRepo) -> Iterator[Finding]:
    """Yield a finding for each image and timeout that an environment of the platform would refuse."""
    tasks = tasks_of(document)
    if any(is_pod(task) for task in tasks.values()):
        yield from _timeout(document, repo, ("defaults",), defaults_of(document))
    for name, task in tasks.items():
        if is_pod(task):
            yield from _image(document, repo, ("tasks", name), task.get("image"))
            yield from _timeout(document, repo, ("tasks", name), task)


def _image(document: Document, repo: TeamRepo, path: KeyPath, image: Any) -> Iterator[Finding]:
    """Check an address. A name is resolved only when the task runs, and the library checks the address then."""
    if not isinstance(image, str) or image in repo.images or not any(sign in image for sign in "/:@"):
        return
    for environment, values in repo.environments.items():
        registries = image_registries(values)
        if not any(image.startswith(f"{registry}/") for registry in registries):
            allowed = ", ".join(registries) or "none"
            message = f"image '{image}' is not in a registry of environment {environment} (allowed: {allowed})"
            yield document.finding((*path, "image"), message, "image")


def _timeout(document: Document, repo: TeamRepo, path: KeyPath, part: dict[str, Any]) -> Iterator[Finding]:
    seconds = _seconds(part.get("timeout"))
    for environment, values in repo.environments.items():
        maximum = values.get("longestTask", LONGEST_TASK)
        if seconds is not None and isinstance(maximum, int) and seconds > maximum:
            longest = duration_text(maximum)
            message = f"'timeout' must be at most {longest} in environment {environment}; got {part['timeout']}"
            yield document.finding((*path, "timeout"), message, "timeout")


def _seconds(text: Any) -> int | None:
    """Return the duration; None if it is malformed, which the schema reports."""
    try:
        return parse_duration(text)
    except (TypeError, ValueError):
        return None
