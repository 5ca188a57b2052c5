"""The outline of a shell command: where its words, redirections and operators are, and which parts the shell replaces.

`shlex` splits a command into words, but does not say where they were, or whether a `|` was quoted. This finds the
places; the value of a word is shlex's.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from jobyard_cli.importing.words import word_set

PLAIN, SINGLE, DOUBLE, ESCAPED, INSIDE, COMMENT = " '\"\\x#"
"""What a character of a command is in: nothing, quotes, after a backslash, `$(…)` or a group, a comment."""
_OPERATOR = re.compile(r"&&|\|\||\|&|;;|[;|\n]|&(?![>&])")
_REDIRECTION = re.compile(r"(?:(?<![^\s;|&(])(\d+|\{\w+\}))?(&>>|&>|>>|>\||>&|<<<|<<-?|<>|<&|<|>)[ \t]*")
_CLOSING = {"(": ")", "{": "}", "`": "`"}
_EXPANDED = frozenset("$`*?~[")


@dataclass(frozen=True)
class Part:
    """A word of a command, from `start` to before `end`, with the quotes that it has in the text."""

    start: int
    end: int
    text: str

    @property
    def value(self) -> str:
        """The word without quotes, as the program gets it if the shell replaces nothing in it."""
        return unquoted(self.text)


@dataclass(frozen=True)
class Redirection:
    """`2>> file`: the descriptor ("" if none is written), the operator and the target."""

    start: int
    end: int
    descriptor: str
    operator: str
    target: str


@dataclass(frozen=True)
class Simple:
    """A command between operators. `operator` is the one before it, "" for the first."""

    start: int
    end: int
    operator: str
    words: tuple[Part, ...]
    redirections: tuple[Redirection, ...] = ()
    compound: bool = False
    """Whether it is a group, a subshell, or a part of `if`, `for` and the like."""


@dataclass(frozen=True)
class Outline:
    """A whole command. `complete` is whether all quotes and brackets are closed."""

    text: str
    marks: str
    complete: bool
    commands: tuple[Simple, ...] = field(default=())
    background: bool = False


_WORDS_OF_SHELL = word_set(
    """
    if then else elif fi for while until do done case esac in function { } ! [[ ]] select time
    """
)


def outline(text: str) -> Outline:
    """Return the outline of a command."""
    marks, complete = _marks(text)
    commands, background = _commands(text, marks)
    return Outline(text, marks, complete, tuple(commands), background)


def unquoted(text: str) -> str:
    """Return a word without its quotes; as it is if they are not closed."""
    try:
        return "".join(shlex.split(text))
    except ValueError:
        return text


def expands(text: str) -> bool:
    """Return whether the shell would replace something in a word: a variable, a command, a pattern, a home."""
    marks, _ = _marks(text)
    for character, mark in zip(text, marks, strict=True):
        if mark == INSIDE or (mark == PLAIN and character in _EXPANDED) or (mark == DOUBLE and character in "$`"):
            return True
    return mark_brace(text, marks)


def mark_brace(text: str, marks: str) -> bool:
    """Return whether there is a `{a,b}` outside quotes, which bash makes two words of."""
    bare = "".join(character if mark == PLAIN else "_" for character, mark in zip(text, marks, strict=True))
    return re.search(r"\{[^{}]*(,|\.\.)[^{}]*\}", bare) is not None


def _marks(text: str) -> tuple[str, bool]:
    """Return a mark for each character, and whether all quotes and brackets are closed."""
    marks: list[str] = []
    closing: list[str] = []
    quote = ""
    position = 0
    while position < len(text):
        character = text[position]
        inside = INSIDE if closing else ""
        if quote == SINGLE:
            marks.append(inside or SINGLE)
            quote = "" if character == "'" else quote
        elif character == "\\":
            escaped = text[position : position + 2]
            marks += [inside or ESCAPED] * len(escaped)
            position += len(escaped) - 1
        elif opened := _opens(text, position, quote):
            marks += [INSIDE] * len(opened)
            closing.append(quote + _CLOSING[opened[-1]])
            quote = ""
            position += len(opened) - 1
        elif closing and not quote and character == closing[-1][-1]:
            marks.append(INSIDE)
            quote = closing.pop()[:-1]
        elif character == DOUBLE:
            marks.append(inside or DOUBLE)
            quote = "" if quote else DOUBLE
        elif character == SINGLE and not quote:
            marks.append(inside or SINGLE)
            quote = SINGLE
        elif _starts_comment(text, position, quote) and not closing:
            length = _to_line_end(text, position)
            marks += [COMMENT] * length
            position += length - 1
        else:
            marks.append(inside or quote or PLAIN)
        position += 1
    return "".join(marks), not quote and not closing


def _opens(text: str, position: int, quote: str) -> str:
    """Return what opens a part that the shell reads as a command or a name: `$(`, `${`, a backquote, `(`."""
    two = text[position : position + 2]
    if two in ("$(", "${") or (two in ("<(", ">(") and not quote):
        return two
    if text[position] == "`":
        return "`" if "`" in text[position + 1 :] else ""
    return "(" if text[position] == "(" and not quote else ""


def _starts_comment(text: str, position: int, quote: str) -> bool:
    return text[position] == "#" and not quote and (position == 0 or text[position - 1] in " \t\n;")


def _to_line_end(text: str, position: int) -> int:
    end = text.find("\n", position)
    return (end if end >= 0 else len(text)) - position


def _commands(text: str, marks: str) -> tuple[list[Simple], bool]:
    commands: list[Simple] = []
    start, operator = 0, ""
    for found in _OPERATOR.finditer(text):
        if not _is_operator(text, marks, found):
            continue
        commands.append(_simple(text, marks, start, found.start(), operator))
        start, operator = found.end(), found[0]
    last = _simple(text, marks, start, len(text), operator)
    if operator and not last.words and not last.compound and not last.redirections:
        return commands, operator == "&"
    return [*commands, last], False


def _is_operator(text: str, marks: str, found: re.Match[str]) -> bool:
    if set(marks[found.start() : found.end()]) != {PLAIN}:
        return False
    # `2>&1` and `<&3` are redirections, and `>|` is one operator.
    return text[found.start() - 1 : found.start()] not in (">", "<")


def _simple(text: str, marks: str, start: int, end: int, operator: str) -> Simple:
    words: list[Part] = []
    redirections: list[Redirection] = []
    position = start
    compound = False
    while position < end:
        if marks[position] == COMMENT or (marks[position] == PLAIN and text[position] in " \t\n"):
            position += 1
        elif redirection := _redirection(text, marks, position, end):
            redirections.append(redirection)
            position = redirection.end
        else:
            stop = _word_end(text, marks, position, end)
            words.append(Part(position, stop, text[position:stop]))
            compound = compound or text[position] == "("
            position = stop
    compound = compound or any(word.text in _WORDS_OF_SHELL for word in words[:1])
    return Simple(start, end, operator, tuple(words), tuple(redirections), compound)


def _redirection(text: str, marks: str, position: int, end: int) -> Redirection | None:
    found = _REDIRECTION.match(text, position, end)
    if found is None or marks[found.start(2)] != PLAIN:
        return None
    stop = _word_end(text, marks, found.end(), end)
    return Redirection(position, stop, found[1] or "", found[2], text[found.end() : stop])


def _word_end(text: str, marks: str, position: int, end: int) -> int:
    start = position
    while position < end:
        if marks[position] == PLAIN and text[position] in " \t\n<>" and position > start:
            break
        if marks[position] == PLAIN and text[position] in " \t\n":
            break
        # A part in brackets, such as `$(date)`, belongs to the word in which it is.
        position += 1
    return position


def edited(text: str, edits: Sequence[tuple[int, int, str]]) -> str:
    """Return the text with each part from start to before end replaced. Parts within replaced ones are ignored."""
    pieces = list(_pieces(text, sorted(edits)))
    return "".join(pieces)


def _pieces(text: str, edits: list[tuple[int, int, str]]) -> Iterator[str]:
    position = 0
    for start, end, replacement in edits:
        if start >= position:
            yield text[position:start]
            yield replacement
            position = end
    yield text[position:]
