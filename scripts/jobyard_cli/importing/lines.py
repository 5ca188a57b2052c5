"""Say what each line of a crontab is: a setting, an entry, a comment, a disabled entry, or none of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from jobyard_cli.importing.schedules import Schedule, ScheduleError, from_fields, from_preset
from jobyard_cli.importing.users import Form, has_user_column, is_for_user, user_column


class Kind(StrEnum):
    """What a line is. A wrapper is a line of the shell around a crontab, such as `crontab <<EOF` and `EOF`."""

    blank = "blank"
    comment = "comment"
    setting = "setting"
    entry = "entry"
    disabled = "disabled"
    wrapper = "wrapper"
    unreadable = "unreadable"


@dataclass(frozen=True)
class Entry:
    """A line with a schedule: its command as it is written, and the comment right above it."""

    schedule: Schedule
    command: str
    user: str = ""
    comment: str = ""
    comment_lines: tuple[int, ...] = ()
    """The numbers of the lines that the comment is from."""


@dataclass(frozen=True)
class Line:
    """A line by its number from 1. `problem` and `column` (from 1) are those of an unreadable one."""

    number: int
    text: str
    kind: Kind
    entry: Entry | None = None
    name: str = ""
    value: str = ""
    """Of a setting, without quotes and without a comment."""
    problem: str = ""
    column: int = 1
    notes: tuple[str, ...] = field(default=())


_SETTING = re.compile(r"""\s*(["']?)([A-Za-z_][A-Za-z0-9_]*)\1\s*=\s*(.*?)\s*""", re.DOTALL)
_QUOTED = re.compile(r"""(["'])(.*?)\1(?:\s+#.*)?""", re.DOTALL)
_FIELD = r"[0-9*?][0-9A-Za-z*,/\-~#?]*|~[0-9]+|[A-Za-z]{3}(?:[-,/][A-Za-z0-9]{1,3})*"
_ENTRY = re.compile(rf"\s*((?:(?:{_FIELD})[ \t]+){{4}}(?:{_FIELD}))[ \t]+(\S.*)", re.DOTALL)
_LOOSE = re.compile(r"\s*(\S+[ \t]+\S+[ \t]+\S+[ \t]+\S+[ \t]+\S+)[ \t]+(\S.*)", re.DOTALL)
_PRESET = re.compile(r"\s*(@every[\s_]+\S+|@\w+)(?:[ \t]+(\S.*))?", re.DOTALL | re.IGNORECASE)
_SECONDS = re.compile(r"(\*|\?|[0-9]+(?:-[0-9]+)?|\*/[0-9]+)[ \t]+(\S.*)", re.DOTALL)
_HEREDOC = re.compile(r"<<-?\s*(['\"]?)([A-Za-z_]\w*)\1")
_INSTALLS = re.compile(r"\bcrontab\b|\bcron\.d\b|\bcron\b|\btee\b|\bcat\b")
_ECHOED = re.compile(r".*\becho\s+(?:-\w+\s+)?(['\"])(.*)\1.*\bcrontab\b.*", re.DOTALL)
_SHEBANG = re.compile(r"#!\s*/")
# Debian's crontab(1) starts a new file with this example.
_EXAMPLE = "tar -zcf /var/backups/home.tgz /home/"
_PROSE = re.compile(r"free slot|user-name\s+command|command to (be )?execute", re.IGNORECASE)


def read_lines(lines: Sequence[str], form: Form = Form.auto, name: str = "") -> list[Line]:
    """Return what each line is, in order; `name` is that of the file, which may say that it has a column of users."""
    read = list(_classified(lines))
    system = has_user_column(read_entries(read), [line.text for line in read if line.kind is Kind.comment], form, name)
    auto = form is Form.auto
    return _with_comments([_with_user(line, system, auto=auto) for line in read])


def read_entries(lines: Sequence[Line]) -> list[str]:
    """Return the commands of the entries, each with the user if there is a column of users."""
    return [line.entry.command for line in lines if line.entry is not None]


def _classified(lines: Sequence[str]) -> Iterator[Line]:
    ends: set[str] = set()
    before = ""
    replaces = False
    script = any(_INSTALLS.search(text) and _HEREDOC.search(text) for text in lines)
    for number, text in enumerate(lines, 1):
        line = _line(number, text)
        if text.strip() in ends:
            ends.discard(text.strip())
            line = Line(number, text, Kind.wrapper)
        elif line.kind is Kind.unreadable and (opened := _HEREDOC.search(text)) and _INSTALLS.search(text):
            ends.add(opened[2])
            replaces = not opened[1]
            line = Line(number, text, Kind.wrapper)
        elif line.kind is Kind.unreadable and script and not ends:
            line = Line(number, text, Kind.wrapper)
        elif line.kind is Kind.entry and ends and replaces and re.search(r"(?<!\\)[$`]", text):
            line = replace(line, notes=(_REPLACED,))
        elif line.kind is Kind.unreadable and before.endswith("\\"):
            line = replace(line, problem=_GOES_ON)
        before = text.rstrip()
        yield line


_GOES_ON = "an entry cannot go on in the next line: cron does not join lines that end with a backslash"
_REPLACED = "the script replaces its variables when it installs the crontab: `crontab -l` prints the result"


def _line(number: int, text: str) -> Line:
    stripped = text.strip()
    if not stripped:
        return Line(number, text, Kind.blank)
    if stripped.startswith("#"):
        return _comment(number, text, stripped)
    if (echoed := _ECHOED.fullmatch(text)) and (inner := _parsed(number, text, echoed[2])):
        return inner
    try:
        if entry := _entry(text):
            return Line(number, text, Kind.entry, entry)
    except ScheduleError as error:
        return _unreadable(number, text, str(error), _column(text, error.index))
    if setting := _SETTING.fullmatch(text):
        return _setting(number, text, setting)
    return _unreadable(number, text, _why(stripped), len(text) - len(text.lstrip()) + 1)


def _unreadable(number: int, text: str, problem: str, column: int) -> Line:
    return Line(number, text, Kind.unreadable, problem=problem, column=column)


def _parsed(number: int, text: str, inner: str) -> Line | None:
    """Return the entry that a command such as `echo "0 2 * * * x" | crontab -` adds."""
    try:
        entry = _entry(inner)
    except ScheduleError:
        return None
    note = "the command that adds the entry is left out"
    return Line(number, text, Kind.entry, entry, notes=(note,)) if entry else None


def _setting(number: int, text: str, setting: re.Match[str]) -> Line:
    value = setting[3]
    notes: tuple[str, ...] = ()
    if quoted := _QUOTED.fullmatch(value):
        value = quoted[2]
    elif " #" in value:
        value, _, comment = value.partition(" #")
        value = value.strip()
        notes = (f"the comment after it ('#{comment}') is left out; cron has it in the value",)
    return Line(number, text, Kind.setting, name=setting[2], value=value, notes=notes)


def _entry(text: str) -> Entry | None:
    """Return the entry of a line, None if it does not look like one.

    Raises:
        ScheduleError: it does, and its schedule is not cron's.
    """
    # A minus before the minute keeps some crons from logging the entry.
    text = re.sub(r"^\s*-(?=[0-9*@])", "", text)
    if text.lstrip().startswith("@"):
        return _preset_entry(text)
    match = _ENTRY.fullmatch(text)
    if match is None:
        return _misspelt(text)
    fields, command = match[1].split(), match[2].rstrip()
    if seconds := _SECONDS.fullmatch(command):
        return _with_seconds([*fields, seconds[1]], seconds[2].rstrip())
    return Entry(from_fields(fields, command), command)


def _with_seconds(fields: list[str], command: str) -> Entry:
    schedule = from_fields(fields[1:], command)
    note = f"six fields: the first, '{fields[0]}', is seconds and is left out, as Airflow has no seconds"
    return Entry(replace(schedule, notes=(*schedule.notes, note)), command)


def _preset_entry(text: str) -> Entry | None:
    match = _PRESET.fullmatch(text)
    if match is None:
        return None
    schedule = from_preset(match[1])
    if match[2] is None:
        raise ScheduleError(0, f"{match[1]} has no command")
    return Entry(schedule, match[2].rstrip())


def _misspelt(text: str) -> Entry | None:
    """Raise for a line that starts as an entry does, and then has a field that cannot be one."""
    match = _LOOSE.fullmatch(text)
    if match is not None and re.match(r"[0-9*]", match[1]):
        fields = match[1].split()
        if sum(1 for part in fields if re.fullmatch(_FIELD, part)) >= 3:
            from_fields(fields)
    return None


def _column(text: str, index: int) -> int:
    starts = [word.start() + 1 for word in re.finditer(r"\S+", text)]
    return starts[index] if index < len(starts) else 1


def _why(text: str) -> str:
    """Return what is wrong with a line that is neither a comment, nor a setting, nor an entry."""
    if re.match(r"(export|set|declare)\s", text):
        return "cron has no 'export': a setting is NAME=value alone"
    if re.search(r"\{\{|\}\}|<%|@[A-Z_]+@|^[_$][A-Z{]", text):
        return "a placeholder of a template: import the file as it is on the machine (crontab -l)"
    if re.match(r"[0-9*@]", text):
        return "an entry must have five fields (minute hour day month weekday) and a command"
    return (
        "not a line of a crontab: neither a comment (#), nor a setting (NAME=value), nor an entry (0 2 * * * command)"
    )


def _comment(number: int, text: str, stripped: str) -> Line:
    line = Line(number, text, Kind.comment)
    inner = stripped.lstrip("#").strip()
    if _SHEBANG.match(stripped) or _EXAMPLE in inner or _PROSE.search(inner):
        return line
    try:
        entry = _entry(inner) if re.match(r"[0-9*@]", inner) else None
    except ScheduleError:
        return line
    if entry is None or not _is_command(entry.command):
        return line
    return Line(number, text, Kind.disabled, entry)


def _is_command(text: str) -> bool:
    """Return whether what follows five fields in a comment is a command, not the rest of a sentence or of a ruler."""
    return re.match(r"[\w./~$\"'\\\[({-]*[A-Za-z./~$]", text) is not None


def _with_user(line: Line, system: bool, *, auto: bool) -> Line:
    if line.entry is None or not (system or (auto and is_for_user(line.entry.command))):
        return line
    user, command = user_column(line.entry.command)
    return replace(line, entry=replace(line.entry, user=user, command=command))


def _with_comments(lines: list[Line]) -> list[Line]:
    """Give each entry the comment that stands right above it."""
    above: list[Line] = []
    read = []
    for line in lines:
        if line.kind is Kind.comment:
            above.append(line)
        else:
            if line.kind is Kind.entry and line.entry is not None:
                line = replace(line, entry=_explained(line.entry, above))
            above = []
        read.append(line)
    return read


def _explained(entry: Entry, above: list[Line]) -> Entry:
    """Return an entry with the text of comments, without rulers, headers of the columns, and notes to programs."""
    kept = [line for line in above if _explains(_inner(line))]
    text = " ".join(map(_inner, kept))[:1_000]
    return replace(entry, comment=text, comment_lines=tuple(line.number for line in kept))


def _inner(comment: Line) -> str:
    return comment.text.strip().lstrip("#").strip()


def _explains(text: str) -> bool:
    if _EXAMPLE in text or re.search(r"\b(dom|mday|day.of.month)\b.*\b(dow|wday|weekday|day.of.week)\b", text, re.I):
        return False
    if re.match(r"(shellcheck|vim:|!/|ansible:|do not edit)", text, re.I):
        return False
    letters = sum(1 for character in text if character.isalpha())
    return letters > 2 and letters * 3 > len(text)
