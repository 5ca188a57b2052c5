"""Makes the paths of a pod, such as /airflow/xcom, those of this machine, for Python's own functions of files.

A process has no file system of its own, and without root nobody makes /airflow here. This module is copied into the
environments of images and imported there when Python starts (`process` writes the .pth file that does it). It imports
nothing of Jobyard's, and does nothing without its variable.
"""

import builtins
import functools
import io
import json
import os
from collections.abc import Callable
from typing import Any

VARIABLE = "JOBYARD_RUN_PATHS"
"""JSON: the pod's folders, each with this machine's."""
ONE = (
    *("access", "chdir", "chmod", "listdir", "lstat", "mkdir", "open", "readlink", "remove", "rmdir", "scandir"),
    *("stat", "truncate", "unlink", "utime"),
)
"""Functions of `os` whose first argument is a path."""
TWO = ("link", "rename", "replace", "symlink")
"""Functions of `os` whose first two arguments are paths."""
SETS = ("supports_dir_fd", "supports_effective_ids", "supports_fd", "supports_follow_symlinks")
"""In these `os` says what its functions can do."""


def main() -> None:
    """Replace the functions, if the variable is set."""
    text = os.environ.get(VARIABLE)
    if not text:
        return
    move = _mover(json.loads(text))
    for names, paths in ((ONE, 1), (TWO, 2)):
        for name in names:
            _replace(name, move, paths)
    io.open = builtins.open = _moved(io.open, move, 1)


def _replace(name: str, move: Callable[[Any], Any], paths: int) -> None:
    function = getattr(os, name)
    moved = _moved(function, move, paths)
    for capable in (getattr(os, capability) for capability in SETS):
        if function in capable:
            capable.add(moved)
    setattr(os, name, moved)


def _mover(folders: "dict[str, str]") -> Callable[[Any], Any]:
    def move(path: Any) -> Any:
        if not isinstance(path, (str, os.PathLike)):
            return path
        text = os.fspath(path)
        if not isinstance(text, str) or not text.startswith("/"):
            return path
        for folder, here in folders.items():
            if text == folder or text.startswith(folder + "/"):
                return here + text[len(folder) :]
        return path

    return move


def _moved(function: Callable[..., Any], move: Callable[[Any], Any], paths: int) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        return function(*map(move, arguments[:paths]), *arguments[paths:], **named)

    return call


main()
