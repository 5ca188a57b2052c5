"""A crontab's command as a container's: what the platform does itself is left out, and each change is noted."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import dropwhile, pairwise, zip_longest

from jobyard_cli.importing import docker
from jobyard_cli.importing.shell import Outline, Part, Redirection, Simple, edited, expands, outline, unquoted
from jobyard_cli.importing.wrappers import Unwrapped, inner_text, unwrap

_LOG = re.compile(r"(^|[^a-z])(logs?|cron|cronlog)([^a-z]|$)|\.(log|out|err|stdout|stderr)$", re.IGNORECASE)
_DATA = re.compile(
    r"\.(csv|tsv|jsonl?|parquet|sql|dump|gz|tgz|bz2|zip|pkl|xml|html?|db|sqlite|npy|npz|xlsx|png|pdf|ya?ml|prom)$",
    re.IGNORECASE,
)
_NOWHERE = re.compile(r"/dev/(null|stdout|stderr|fd/[12]|tty\w*|console)|/proc/(1|self)/fd/[12]")
_LOG_PROGRAMS = frozenset({"logger", "ts", "cronolog", "rotatelogs", "systemd-cat", "multilog", "svlogd"})
_BASHISMS = re.compile(
    r"(^|[;&|(]\s*)source\s|\[\[|&>|<\(|>\(|\$RANDOM|\bRANDOM\b|\$'|<<<|\bpipefail\b|\bpushd\b|\$\{\w+(\^|,|//?)|\{\d+\.\."
)
_ENV_FILE = re.compile(r"\bcat\s+([\w./~${}-]*\.env)\b")
_DATE_FORMAT = re.compile(r"\bdate\b[^|;&)]*\+?[^|;&)]*$|\bstrftime\b")
_KEYWORDS = frozenset(["if", "then", "else", "elif", "fi", "while", "until", "do", "done", "!", "{", "}", "command"])
_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)


@dataclass(frozen=True)
class Command:
    """What a task runs: `words`, or `text` in a shell. A container without either runs what its image says."""

    words: tuple[str, ...] = ()
    text: str = ""
    shell: str = ""
    env: dict[str, str] = field(default_factory=dict)
    image: str = ""
    """The address of an image, if the command was `docker run`; else ""."""
    local_image: str = ""
    """The name of an image without a registry, if the command was `docker run`; else ""."""
    image_of: str = ""
    """What the image must be that of, such as a service of Compose; else ""."""
    timeout: str = ""
    notes: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    """What a person must look at: the command needs something of the machine, or did not run as it is written."""
    programs: tuple[tuple[str, ...], ...] = ()
    """The words of each simple command, for names and for the reasons to leave an entry out."""

    @property
    def whole(self) -> str:
        """The command on one line, as a person would type it."""
        return self.text or " ".join(self.words)


def read_command(written: str, shell: str = "", variables: Sequence[str] = ()) -> Command:
    """Return what a line of a crontab runs. `shell` is its SHELL, `variables` are names that the job's env has."""
    notes: list[str] = []
    doubts: list[str] = []
    text, standard_input = _percent(written, notes, doubts)
    whole = outline(text)
    if not whole.complete:
        doubts.append("its quotes or brackets are not closed, so the shell cannot run it; it was kept as it is")
        return Command(
            (), text, _shell(shell, text), {}, notes=tuple(notes), doubts=tuple(doubts), programs=_programs(whole)
        )
    text = _without_background(whole, notes)
    text = _without_logs(outline(text), notes)
    text, timeout = _without_wrappers(text, notes)
    # Once more: `su ml -c 'a >> a.log'` has its log inside.
    text = _without_logs(outline(text), notes)
    whole = outline(text)
    if run := docker.run(whole):
        notes += run.notes
        doubts += run.doubts
        text, whole = run.text, outline(run.text)
    env, text = _assignments(whole, variables)
    whole = outline(text)
    read = Command((), text, "", env, timeout=timeout, programs=_programs(whole))
    if run:
        read = replace(read, image=run.image, local_image=run.local, image_of=run.image_of, env={**run.env, **env})
    if standard_input:
        text = _with_input(text, standard_input)
        whole = outline(text)
    doubts += [*_machine(whole), *_exit_codes(whole, notes)]
    text = _with_if(whole, notes)
    whole = outline(text)
    read = replace(read, notes=tuple(notes), doubts=tuple(doubts))
    if words := _plain(whole):
        return replace(read, words=words, text="")
    return replace(read, text=text, shell=_shell(shell, text) if text else "")


def _percent(written: str, notes: list[str], doubts: list[str]) -> tuple[str, list[str]]:
    """Return the command that cron runs, and the lines of its standard input: both end at a `%` without backslash."""
    parts = re.split(r"(?<!\\)%", written)
    command, *given = [part.replace("\\%", "%") for part in parts]
    if not given:
        return command.strip(), []
    if not outline(command).complete or _DATE_FORMAT.search(command):
        doubts.append(
            "cron ends a command at a % without a backslash, so this one cannot have run as it is written; "
            "the job has the % that was meant"
        )
        return written.replace("\\%", "%").strip(), []
    notes.append("what follows the % is the command's standard input")
    return command.strip(), given


def _with_input(text: str, lines: list[str]) -> str:
    mark = "CRON_INPUT"
    while mark in lines:
        mark += "_"
    # In a group, the input is that of the whole command, as with cron.
    return "\n".join(["{", text, f"}} <<'{mark}'", *lines, mark])


def _without_background(whole: Outline, notes: list[str]) -> str:
    if not whole.background:
        return whole.text
    notes.append("the & at the end is left out: a pod ends when its command does")
    return whole.text.rstrip().removesuffix("&").rstrip()


def _without_logs(whole: Outline, notes: list[str]) -> str:
    """Return the text without what only sends output to a log, which Airflow keeps of each task."""
    kept = list(whole.commands)
    edits = []
    if len(kept) > 1 and kept[-1].operator == "|" and _only_logs(kept[-1]):
        log = kept.pop()
        edits.append((_before(whole.text, kept[-1].end), log.end, ""))
    for command, following in zip_longest(kept, kept[1:]):
        # What the next program of a pipe reads is not a log.
        if following is None or following.operator != "|":
            edits += [(_before(whole.text, item.start), item.end, "") for item in _log_redirections(command)]
    removed = [whole.text[start:end].strip() for start, end, _ in sorted(edits)]
    if removed:
        notes.append(f"'{' '.join(removed)}' is left out: the output is in the task's log")
    return edited(whole.text, edits).strip()


def _before(text: str, position: int) -> int:
    """Return where the white space before a position starts."""
    return len(text[:position].rstrip())


def _log_redirections(command: Simple) -> list[Redirection]:
    nothing = [item for item in command.redirections if item.operator == "<" and item.target == "/dev/null"]
    output = [item for item in command.redirections if ">" in item.operator]
    to_files = [item for item in output if not _is_duplicate(item)]
    duplicated = any(item.descriptor == "2" and _is_duplicate(item) for item in output)
    logs = [item for item in to_files if _is_log(item, duplicated)]
    if len(logs) < len(to_files):
        # Of output that is data, only the errors are a log.
        return [*nothing, *(item for item in logs if item.descriptor == "2")]
    return [*nothing, *output]


def _is_duplicate(item: Redirection) -> bool:
    return item.operator == ">&" and item.target.strip("-").isdigit()


def _is_log(item: Redirection, duplicated: bool) -> bool:
    if item.descriptor == "2" or _NOWHERE.fullmatch(item.target):
        return True
    target = unquoted(item.target)
    if _DATA.search(target):
        return False
    if _LOG.search(target):
        return True
    # Errors go to the same file: what is read by programs has none in it.
    return item.operator in ("&>>", "&>", ">&") or (duplicated and item.operator == ">>")


def _only_logs(command: Simple) -> bool:
    if not command.words:
        return False
    program = _base(command.words[0].value)
    if program in _LOG_PROGRAMS:
        return True
    files = [word.value for word in command.words[1:] if not word.text.startswith("-")]
    return program == "tee" and all(_LOG.search(file) and not _DATA.search(file) for file in files)


def _without_wrappers(text: str, notes: list[str]) -> tuple[str, str]:
    """Return the text without programs that start others and that a pod does not need, and a time limit."""
    timeout = ""
    for _ in range(8):
        whole = outline(text)
        if len(whole.commands) == 1 and (inner := inner_text(whole.commands[0])):
            text = inner.text
            notes.append(inner.note)
            continue
        edits, found = _unwrapped(whole)
        if not found:
            break
        notes += [item.note for item in found if item.note not in notes]
        # The limit of one command of several is not that of the task; there, `timeout` stays.
        timeout = next((item.timeout for item in found if item.timeout), timeout)
        text = edited(text, edits).strip()
    return text, timeout


def _unwrapped(whole: Outline) -> tuple[list[tuple[int, int, str]], list[Unwrapped]]:
    edits: list[tuple[int, int, str]] = []
    found: list[Unwrapped] = []
    for command in whole.commands:
        alone = len([other for other in whole.commands if not is_cd(other)]) == 1
        item = None if command.compound else unwrap(command, alone=alone)
        if item is not None:
            edits.append((item.start, item.end, item.replacement))
            found.append(item)
    return edits, found


def is_cd(command: Simple) -> bool:
    """Return whether a command only changes the directory."""
    return bool(command.words) and command.words[0].text == "cd" and not command.compound


def _assignments(whole: Outline, variables: Sequence[str]) -> tuple[dict[str, str], str]:
    """Return the variables that a single command is given, and the text without them."""
    env: dict[str, str] = {}
    if len(whole.commands) != 1 or whole.commands[0].compound:
        return env, whole.text
    words = whole.commands[0].words
    taken = 0
    for word in words[:-1] if len(words) > 1 else ():
        match = _ASSIGNMENT.fullmatch(word.text)
        if match is None:
            break
        name, value = match[1], match[2]
        if value.strip('"') == f"${{{name}}}" and name in variables:
            taken += 1
        elif expands(value):
            break
        else:
            env[name] = word.value.partition("=")[2]
            taken += 1
    if not taken:
        return {}, whole.text
    return env, whole.text[words[taken].start :]


def _with_if(whole: Outline, notes: list[str]) -> str:
    """Return `[ test ] && command` as an `if`: cron ignores that it ends with 1, and Airflow would fail the task."""
    commands = whole.commands
    first = next((number for number, command in enumerate(commands) if not is_cd(command)), len(commands))
    last = first
    while last < len(commands) and _is_test(commands[last]):
        last += 1
    joined = all(command.operator == "&&" for command in commands[1:])
    if not joined or first == last or last == len(commands) or any(command.compound for command in commands):
        return whole.text
    text = whole.text
    test = text[commands[first].start : commands[last].start].strip().removesuffix("&&").strip()
    notes.append("its test is in an if: where it is false, nothing has failed")
    return f"{text[: commands[first].start]} if {test}; then {text[commands[last].start :].strip()}; fi".strip()


def _is_test(command: Simple) -> bool:
    words = [word.text for word in command.words]
    return words[:1] in (["["], ["[["], ["test"]) or words[:2] in (["command", "-v"], ["grep", "-q"], ["pgrep", "-f"])


def _exit_codes(whole: Outline, notes: list[str]) -> list[str]:
    """Return what hides a failure from Airflow, which retries and alerts by the exit code."""
    doubts = []
    operators = [command.operator for command in whole.commands if command.words]
    if any(_hides_failure(*pair) for pair in pairwise(whole.commands)):
        doubts.append("what follows || hides a failure: the task succeeds then, is not retried, and sends no alert")
    elif {"|", ";"}.intersection(operators) and not any(command.compound for command in whole.commands):
        notes.append("only the exit code of the last of its commands decides whether the task has failed")
    if "&" in operators:
        doubts.append("a part of it runs in the background, and ends with the last command")
    return doubts


def _hides_failure(command: Simple, following: Simple) -> bool:
    words = [word.text for word in following.words]
    return following.operator == "||" and not _is_test(command) and words[:1] not in ([], ["exit"], ["return"])


def _plain(whole: Outline) -> tuple[str, ...]:
    """Return the words of a command that needs no shell, none if it does."""
    if len(whole.commands) != 1:
        return ()
    command = whole.commands[0]
    if command.compound or command.redirections or not command.words or whole.background:
        return ()
    if any(expands(word.text) for word in command.words) or _is_builtin(command.words[0]):
        return ()
    return tuple(word.value for word in command.words)


def _is_builtin(word: Part) -> bool:
    return word.value in (
        ".",
        "source",
        "cd",
        "export",
        "eval",
        "exec",
        "set",
        "ulimit",
        "umask",
        "unset",
        ":",
        "exit",
    ) or ("=" in word.text)


def _shell(shell: str, text: str) -> str:
    """Return the shell that runs the text: the crontab's, or bash where only that can."""
    named = _base(shell)
    if named in ("bash", "zsh", "ksh", "dash", "ash", "fish"):
        return named
    return "bash" if _BASHISMS.search(text) else "sh"


def _base(path: str) -> str:
    return path.rpartition("/")[2]


def _programs(whole: Outline) -> tuple[tuple[str, ...], ...]:
    """Return the words of each command, those of groups too."""
    programs: list[tuple[str, ...]] = []
    for command in whole.commands:
        group = re.fullmatch(r"\(\s*(.*?)\s*\)", " ".join(word.text for word in command.words), re.DOTALL)
        if group and command.compound:
            programs += _programs(outline(group[1]))
        else:
            words = [word.value for word in command.words]
            started = dropwhile(_KEYWORDS.__contains__, words)
            programs += _with_inner(tuple(started))
    return tuple(programs)


def _with_inner(words: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """Return the commands that `bash -c '…'` runs, or the command itself if it is not one of a shell."""
    if not words:
        return ()
    if _base(words[0]) in ("sh", "bash", "dash", "zsh", "ksh"):
        for position, word in enumerate(words[1:-1], 1):
            if re.fullmatch(r"-[a-z]*c", word):
                return _programs(outline(words[position + 1])) or (words,)
    return (words,)


def _machine(whole: Outline) -> list[str]:
    """Return what the command needs of the machine that it ran on."""
    doubts = []
    for command in whole.commands:
        words = [word.value for word in command.words]
        if words[:2] in (["conda", "activate"], ["mamba", "activate"], ["pyenv", "activate"]) and len(words) > 2:
            doubts.append(_sourced(f"{words[2]}/bin/activate"))
        if words[:1] in (["source"], ["."]) and len(words) > 1:
            doubts.append(_sourced(words[1]))
        for item in command.redirections:
            if ">" in item.operator and not _is_duplicate(item):
                doubts.append(f"it writes {item.target}, which is deleted with the pod: write to S3 instead")
            elif item.operator == "<" and not _NOWHERE.fullmatch(item.target):
                doubts.append(f"it reads {item.target}, which must be in the image or come from S3")
        if _base(words[0]) if words else "":
            doubts += _local(words)
    doubts += [_sourced(file) for file in _ENV_FILE.findall(whole.text)]
    return list(dict.fromkeys(doubts))


def _sourced(file: str) -> str:
    if re.search(r"bin/activate$|conda\.sh$|activate$", file):
        return f"it activates {file}: the image has its own Python, so install the packages there and remove this part"
    if re.search(r"\.?(bash|zsh)?_?(rc|profile)$|/etc/", file):
        return f"it reads {file} of the machine: put what it sets into the image, env or secrets, and remove this part"
    return f"it reads {file}: put its values into env and secrets of the job, and remove this part"


def _local(words: list[str]) -> list[str]:
    if any(re.search(r"//(localhost|127\.0\.0\.1|0\.0\.0\.0|host\.docker\.internal)\b", word) for word in words):
        return ["it calls a service of the machine (localhost), which a pod cannot reach"]
    if _base(words[0]) in ("ssh", "scp", "sftp") or (_base(words[0]) == "rsync" and re.search(r"\w:", " ".join(words))):
        return ["it reaches another machine over ssh, for which a pod needs a key and a rule of the network"]
    if _base(words[0]) == "papermill" or "nbconvert" in words:
        return ["it runs a notebook, whose output is deleted with the pod: write the result to S3"]
    if _base(words[0]) in ("mail", "mailx", "sendmail", "mutt", "ssmtp", "msmtp", "swaks"):
        return ["it sends mail, which an image seldom can: alerts of the job tell of failures"]
    if _base(words[0]) in ("docker", "docker-compose", "podman"):
        return ["it runs docker, which a pod does not have: name the image of the container in the job"]
    return []
