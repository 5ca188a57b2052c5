"""Programs that start another one, and that a pod does not need: `flock`, `timeout`, `nice`, `sudo` and their kind."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from jobyard_cli.importing.shell import Part, Simple, expands

_PRIORITY = "is left out: a pod has the CPU that it requests"
_ONCE = "is left out: Airflow does not start a job while its last run goes on (max_active_runs: 1)"
_OUTPUT = "is left out: alerts tell of failures, and the output is in the task's log"
_STAYS = "is left out: a pod has no terminal and no session to leave"
_USER = "is left out: a pod runs as the user of its image"


@dataclass(frozen=True)
class Wrapper:
    """Why it is left out, which of its options have a value, and how many words come before the command."""

    why: str
    with_value: str = ""
    words: int = 0


WRAPPERS = {
    "nice": Wrapper(_PRIORITY, "-n --adjustment"),
    "ionice": Wrapper(_PRIORITY, "-c -n --class --classdata"),
    "chrt": Wrapper(_PRIORITY, "", 1),
    "taskset": Wrapper(_PRIORITY, "", 1),
    "cpulimit": Wrapper(_PRIORITY, "-l --limit"),
    "nohup": Wrapper(_STAYS),
    "setsid": Wrapper(_STAYS),
    "exec": Wrapper("is left out: the container starts the command itself"),
    "time": Wrapper("is left out: Airflow shows how long a task took", "-f -o"),
    "chronic": Wrapper(_OUTPUT),
    "cronic": Wrapper(_OUTPUT),
    "cronitor": Wrapper(_OUTPUT, "", 2),
    "flock": Wrapper(_ONCE, "-w --timeout --wait -E --conflict-exit-code", 1),
    "setlock": Wrapper(_ONCE, "", 1),
    "lckdo": Wrapper(_ONCE, "-W -w", 1),
    "run-one": Wrapper(_ONCE),
    "solo": Wrapper(_ONCE, "-port"),
    "timeout": Wrapper("is the task's timeout now", "-k -s --kill-after --signal", 1),
    "sudo": Wrapper(_USER, "-u -g -h -p -U --user --group"),
    "gosu": Wrapper(_USER, "", 1),
    "su-exec": Wrapper(_USER, "", 1),
    "setuser": Wrapper(_USER, "", 1),
    "runuser": Wrapper(_USER, "-u --user"),
    "env": Wrapper("is left out: the job's env has its variables"),
    "caffeinate": Wrapper(_STAYS),
}
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}
_DURATION = re.compile(r"(\d{1,7})(?:\.\d+)?([smhd]?)")
_SHELLS = frozenset({"sh", "bash", "dash", "zsh", "ksh"})


@dataclass(frozen=True)
class Unwrapped:
    """The part of a text that a wrapper takes, what replaces it, and a limit in the form of job.yaml."""

    start: int
    end: int
    note: str
    replacement: str = ""
    timeout: str = ""


@dataclass(frozen=True)
class Inner:
    """A command within a command: the text that `su user -c '…'` runs."""

    text: str
    note: str


def unwrap(command: Simple, *, alone: bool) -> Unwrapped | None:
    """Return what the wrapper at the start of a command takes; None without one.

    `alone` is whether the command is all that the task runs, so that its limit can be the task's.
    """
    words = list(command.words)
    position = 0
    while position < len(words) - 1 and re.match(r"[A-Za-z_]\w*=", words[position].text):
        position += 1
    name = _base(words[position].value) if words else ""
    wrapper = WRAPPERS.get(name)
    if wrapper is None or (name == "timeout" and not alone):
        return None
    first = _command_start(words, position + 1, wrapper)
    if first is None or first >= len(words):
        return None
    if name == "env" and words[first].text.startswith(("$", "`")):
        # Variables that `env` gets from a command, as in `env $(cat .env)`: a shell would run them.
        return None
    taken = " ".join(word.text for word in words[position:first])
    limit = _limit(words[position + 1 : first]) if name == "timeout" else ""
    if name == "timeout" and not limit:
        return None
    why = f"{wrapper.why} ({limit})" if limit else wrapper.why
    return Unwrapped(words[position].start, words[first].start, f"'{taken}' {why}", _text_of(words, first), limit)


def _command_start(words: Sequence[Part], position: int, wrapper: Wrapper) -> int | None:
    """Return the number of the word with which the started command begins; None if that is not certain."""
    valued = wrapper.with_value.split()
    before = wrapper.words
    while position < len(words):
        text = words[position].text
        if text == "--":
            position += 1
        elif text in ("-c", "--command") and wrapper.why == _ONCE:
            return position
        elif text.startswith("-") and len(text) > 1:
            if text in ("-i", "-S", "-s", "--split-string", "-l") and not valued:
                return None
            position += 2 if text in valued else 1
        elif before:
            before -= 1
            position += 1
        else:
            return position
    return None


def _text_of(words: Sequence[Part], first: int) -> str:
    """Return "sh " where `flock -c 'text'` runs its command in a shell."""
    return "sh " if words[first].text in ("-c", "--command") else ""


def _limit(words: Sequence[Part]) -> str:
    """Return the duration of `timeout` as job.yaml has it, "" without one."""
    match = _DURATION.fullmatch(words[-1].value) if words else None
    if match is None:
        return ""
    seconds = int(match[1]) * _SECONDS[match[2]]
    if not 0 < seconds <= 30 * 86_400:
        return ""
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def inner_text(command: Simple) -> Inner | None:
    """Return the command within `su user -c '…'`, `runuser … -c '…'` or `sh -c '…'`; None for any other command."""
    if command.redirections or command.compound:
        return None
    words = [word.text for word in command.words]
    name = _base(words[0]) if words else ""
    if name not in ("su", "runuser", *_SHELLS) or "-c" not in words:
        return None
    at = words.index("-c")
    if name in _SHELLS:
        # A shell in a shell is one too many only if it is the same: `bash -lc` reads a profile.
        if name != "sh" or at != 1 or len(words) != 3:
            return None
    elif at + 1 >= len(words):
        return None
    inner = command.words[at + 1]
    # What the outer shell would replace, the inner one does, unless it is quoted for either.
    if expands(inner.text) and (inner.text[0] != '"' or "\\" in inner.text or "`" in inner.text):
        return None
    taken = " ".join([*words[: at + 1], "…", *words[at + 2 :]])
    why = "is left out: the job's command starts a shell itself" if name in _SHELLS else _USER
    return Inner(inner.value.strip(), f"'{taken}' {why}")


def _base(path: str) -> str:
    return path.rpartition("/")[2]
