"""Read a crontab as lines of text, whatever its encoding and its line ends."""

from __future__ import annotations

import codecs
import sys
from dataclasses import dataclass
from pathlib import Path

from jobyard_cli.errors import UsageError

MAXIMUM_BYTES = 1 << 20
STANDARD_INPUT = "-"
_MARKS = ((codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


class UnreadableSourceError(UsageError):
    """The file to import does not exist, is a folder, is too large, or is not text."""


@dataclass(frozen=True)
class Source:
    """A file as lines without their ends. `name` is what a message calls it, `folder` where its scripts may be."""

    name: str
    lines: tuple[str, ...]
    folder: Path | None = None
    notes: tuple[str, ...] = ()
    """What is unusual about the whole file, such as its encoding."""


def read(file: str, encoding: str | None = None) -> Source:
    """Read a file, or standard input for `-`. Without an encoding, text that is not UTF-8 is read as Latin-1.

    Raises:
        UnreadableSourceError: the file is missing, a folder, too large, or no text; or the encoding is unknown.
    """
    content = _bytes(file)
    if len(content) > MAXIMUM_BYTES:
        raise UnreadableSourceError(
            f"{file}: a crontab must have at most {MAXIMUM_BYTES:,} bytes; this has {len(content):,}"
        )
    folder = None if file == STANDARD_INPUT else Path(file).absolute().parent
    return decoded(content, file, encoding, folder)


def _bytes(file: str) -> bytes:
    if file == STANDARD_INPUT:
        return sys.stdin.buffer.read(MAXIMUM_BYTES + 1)
    try:
        with Path(file).open("rb") as opened:
            return opened.read(MAXIMUM_BYTES + 1)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise UnreadableSourceError(f"{file}: cannot read the file: {why}") from None


def decoded(content: bytes, name: str, encoding: str | None = None, folder: Path | None = None) -> Source:
    """Decode the bytes of a crontab.

    Raises:
        UnreadableSourceError: there is a NUL in the text, or the encoding is unknown or does not fit.
    """
    text, notes = _text(content, name, encoding)
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        column = text.index("\0") - text.rfind("\n", 0, text.index("\0"))
        raise UnreadableSourceError(f"{name}:{line}:{column}: a crontab must be text; got a NUL character")
    # Windows writes the mark before UTF-8 too, and an editor may have added a second one.
    text = text.lstrip("\ufeff")
    if "\r" in text:
        notes = [*notes, "lines end as on Windows (CRLF); cron on Linux passes the CR on to the command"]
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if lines[-1] == "":
        lines.pop()
    return Source(name, tuple(lines), folder, tuple(notes))


def _text(content: bytes, name: str, encoding: str | None) -> tuple[str, list[str]]:
    if encoding is not None:
        return _in_encoding(content, name, encoding), []
    for mark, marked in _MARKS:
        if content.startswith(mark):
            return content.decode(marked, "replace"), ["the file is in UTF-16; cron reads bytes, and cannot run it"]
    try:
        return content.decode("utf-8"), []
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        note = (
            f"line {line} is not UTF-8 (byte 0x{content[error.start]:02x}); the file was read as Latin-1: "
            "if text looks wrong, name its encoding with --encoding, such as gbk or shift_jis"
        )
        return content.decode("latin-1"), [note]


def _in_encoding(content: bytes, name: str, encoding: str) -> str:
    try:
        return content.decode(encoding)
    except (LookupError, ValueError) as error:
        raise UnreadableSourceError(f"{name}: cannot read the file as {encoding}: {error}") from None
