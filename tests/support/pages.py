"""Runs a page of the documentation: its blocks of shell commands and its files, in the order in which they stand."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

BLOCK = re.compile(r"^```(?P<info>[^\n`]+)\n(?P<body>.*?)^```$", re.M | re.S)
LEFT_OUT = "…"
END = "END_OF_THE_FILE"
MARK = "=== block "
VARYING = (
    (re.compile(r"\x1b\[[0-9;]*m"), ""),
    (re.compile(r"\b[0-9a-f]{12}\b"), "<commit>"),
    (re.compile(r"\b\d+(\.\d+)? s\b"), "<seconds>"),
    (re.compile(r"127\.0\.0\.1:\d+"), "<address>"),
)
"""What differs from run to run, and what stands for it where outputs are compared."""


@dataclass(frozen=True)
class Block:
    """A fenced block. `title` is the file that it is, relative to the top folder; `code` is a command's exit code."""

    language: str
    body: str
    line: int
    title: str = ""
    code: int = 0

    @property
    def is_command(self) -> bool:
        return self.language == "sh" and not self.title

    @property
    def is_output(self) -> bool:
        """Whether it shows what the commands of the block before print."""
        return self.language == "text" and not self.title


def blocks(text: str) -> Iterator[Block]:
    """Yield the fenced blocks of a page that name a language."""
    for found in BLOCK.finditer(text):
        language, *settings = shlex.split(found["info"])
        named = dict(setting.split("=", 1) for setting in settings)
        line = text.count("\n", 0, found.start()) + 1
        yield Block(language, found["body"], line, named.get("title", ""), int(named.get("exit", 0)))


@dataclass(frozen=True)
class Ran:
    """How the script of a page ended: its exit code, and by line of the page what each block of commands printed."""

    code: int
    printed: Mapping[int, str]

    @property
    def last(self) -> str:
        """What the last block that began has printed, with its line: where the script ended if it failed."""
        line = max(self.printed, default=0)
        return f"line {line} of the page:\n{self.printed.get(line, '')}"


def run(page: Iterable[Block], folder: Path, environment: Mapping[str, str]) -> Ran:
    """Run the commands of blocks as one shell script in a folder, and write their files between them."""
    script = "".join(["set -eu\n", f"top={shlex.quote(str(folder))}\n", *map(_script, page)])
    done = subprocess.run(
        ["sh"],
        input=script,
        cwd=folder,
        env=dict(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    printed = {}
    for part in done.stdout.split(MARK)[1:]:
        line, _, output = part.partition("\n")
        printed[int(line)] = output
    return Ran(done.returncode, printed)


def _script(block: Block) -> str:
    """The part of the script that runs a block, or writes it as a file; nothing for what is only shown."""
    if block.title:
        file = f'"$top"/{shlex.quote(block.title)}'
        return f"mkdir -p \"$(dirname {file})\"\ncat > {file} <<'{END}'\n{block.body}{END}\n"
    if not block.is_command:
        return ""
    begin = f"echo '{MARK}{block.line}'\n"
    if not block.code:
        return f"{begin}{block.body}"
    # A new shell, so that `set -e` of this one does not end the script.
    checked = f"code=0\nsh -eu -c {shlex.quote(block.body)} || code=$?\n"
    return f'{begin}{checked}[ "$code" = {block.code} ] || {{ echo "exit code $code"; exit 1; }}\n'


def differences(page: Iterable[Block], ran: Ran) -> list[str]:
    """What the page shows and the commands before did not print, with the line of the block.

    A block with a line `…` leaves lines out: each of its other lines has to be printed, in this order. Any other block
    is all that is printed. Empty lines do not count.
    """
    found: list[str] = []
    before = 0
    for block in page:
        if block.is_command:
            before = block.line
        elif block.is_output and before in ran.printed:
            found += _missing(block, ran.printed[before])
    return found


def _missing(block: Block, printed: str) -> Iterator[str]:
    wanted, given = _lines(block.body), _lines(printed)
    if LEFT_OUT not in wanted:
        if wanted != given:
            yield f"line {block.line}: the page shows {wanted}, and the commands printed {given}"
        return
    rest = iter(given)
    for line in wanted:
        # `in` goes on where the line before was found, so the order counts too.
        if line != LEFT_OUT and line not in rest:
            yield f"line {block.line}: '{line}' was not printed, or not in this order; the commands printed\n{printed}"
            return


def _lines(text: str) -> list[str]:
    for pattern, stands_for in VARYING:
        text = pattern.sub(stands_for, text)
    return [line.rstrip() for line in text.splitlines() if line.strip()]
