"""Find passwords, tokens and keys in a crontab, so that a job refers to them and no text repeats them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from jobyard_cli.importing.shell import DOUBLE, INSIDE, SINGLE, outline

_WORDS = (
    r"passw(?:or)?d|passwd|passphrase|pwd|secret|token|(?:api|access|private|auth)[-_]?key|credentials?|webhook|dsn"
)
_NAME = rf"[A-Za-z0-9_]*(?:{_WORDS})[A-Za-z0-9_]*|[A-Za-z0-9_]*_PASS|PGPASSWORD|[A-Z0-9_]*_KEY"
# What an option's name may begin with: after one dash whole words, as `-psecret` is an option with its value.
_PREFIX = r"(?:(?<=--)[\w-]*?|(?:\w+-)*)"
_VALUE = r"\"[^\"$`\n]+\"|'[^'\n]+'|[^\s'\"$`;|&<>(){}]+"
_PATTERNS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (name, re.compile(pattern, re.IGNORECASE))
    for name, pattern in (
        ("", rf"(?<![\w$%./-])(?P<name>{_NAME})\s?=\s?(?P<value>{_VALUE})"),
        ("", rf"(?<!\S)--?(?P<name>{_PREFIX}(?:{_WORDS})[\w-]*?)(?:=|[ \t]+)(?P<value>{_VALUE})"),
        ("MYSQL_PASSWORD", r"\b(?:mysql\w*|mariadb[\w-]*)\b[^|;&]*?(?<!\S)-p(?P<value>[^\s'\"$]+)"),
        ("SSH_PASSWORD", r"\bsshpass\s+-p\s*(?P<value>\S+)"),
        ("REDIS_PASSWORD", r"\bredis-cli\b[^|;&]*?\s-a\s+(?P<value>[^\s'\"$]+)"),
        ("BASIC_AUTH_PASSWORD", r"(?<!\S)(?:-u|--user)[= \t]*['\"]?[\w.@-]+:(?P<value>[^\s'\"$:@]+)"),
        ("URL_PASSWORD", r"\b[a-z][a-z0-9+.-]*://[^\s/:@'\"$]*:(?P<value>[^\s/@'\"$]+)@"),
        ("", rf"[?&](?P<name>[\w-]*(?:{_WORDS}|key|sig|signature|auth)[\w-]*)=(?P<value>[^\s&'\"$#;|]+)"),
        ("AUTHORIZATION", r"Authorization:\s*(?:Bearer|Basic|Token)\s+(?P<value>[^\s'\"$]+)"),
        ("API_KEY", r"\b(?:x-)?(?:api-?key|auth-token|access-token)\s*:\s*(?P<value>[^\s'\"$]+)"),
        ("", rf"[\"'](?P<name>[\w-]*(?:{_WORDS}))[\"']\s*:\s*[\"'](?P<value>[^\"'$]+)[\"']"),
        ("WEBHOOK_PATH", r"hooks\.slack\.com/(?:services|workflows)/(?P<value>[\w/-]{8,})"),
        ("WEBHOOK_PATH", r"discord(?:app)?\.com/api/webhooks/(?P<value>[\w/-]{8,})"),
        ("TELEGRAM_TOKEN", r"api\.telegram\.org/bot(?P<value>[\w:-]{8,})"),
        ("PING_ID", r"(?:hc-ping\.com|healthchecks\.io/ping)/(?P<value>[\w-]{20,})"),
    )
)
# Their letter case matters.
_KNOWN = re.compile(
    r"(?<![\w/+-])(?P<value>(?:AKIA|ASIA)[0-9A-Z]{16}|gh[pousr]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|xox[abprs]-[\w-]{10,}"
    r"|sk-[\w-]{20,}|AIza[\w-]{30,}|SG\.[\w-]{10,}\.[\w-]{10,}|eyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]*"
    r"|(?<!sha256:)(?<!@)[0-9a-f]{32,64})(?![\w/+-])"
)
# What names a place or a measure of a secret, and not its value.
_NO_SECRET = re.compile(r"(file|path|dir|name|length|limit|ttl|type|size|count|env|tokens|expiry)$", re.IGNORECASE)
_HARMLESS = re.compile(
    r"(true|false|yes|no|none|null|\d{1,4}|/\S*|\.{1,2}/\S*|~\S*|\*+|x{3,}|<[^>]*>|\{\{.*)", re.IGNORECASE
)

SHORTEST_KNOWN = 8
"""Characters of a value that is taken for a secret wherever it is; a shorter one may be a word."""


@dataclass(frozen=True)
class Secret:
    """A secret by the name of the variable that a job gets it in. Its value is never written."""

    name: str
    line: int


@dataclass(frozen=True)
class Found:
    """Where a value is in a text."""

    start: int
    end: int
    name: str


@dataclass
class Vault:
    """All secrets of a crontab: each value has one name."""

    names: dict[str, str] = field(default_factory=dict)
    """Value to name."""
    secrets: list[Secret] = field(default_factory=list)
    _numbers: dict[str, int] = field(default_factory=dict)
    """Name to the last number that was added to it."""

    def name_of(self, value: str, wanted: str, line: int) -> str:
        """Return the name of a value; a new one gets the wanted name, with a number if another value has that."""
        if value in self.names:
            return self.names[value]
        name = wanted
        while name in self._numbers:
            self._numbers[wanted] += 1
            name = f"{wanted}_{self._numbers[wanted]}"
        self._numbers[name] = 1
        self.names[value] = name
        self.secrets.append(Secret(name, line))
        return name

    def redacted(self, text: str) -> str:
        """Return the text with each secret as `***`: the ones that are known, and what else looks like one."""
        for value in sorted(self.names, key=len, reverse=True):
            if len(value) > 3 and value in text:
                text = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", "***", text)
        for found in reversed(find(text)):
            text = f"{text[: found.start]}***{text[found.end :]}"
        return text

    def without_secrets(self, command: str, line: int) -> tuple[str, tuple[str, ...]]:
        """Return a command that takes its secrets from variables, and the names of those."""
        found = _apart([*find(command), *self._known(command)])
        marks = outline(command).marks
        names = []
        for place in reversed(found):
            name = self.name_of(command[place.start : place.end], place.name, line)
            names.append(name)
            command = command[: place.start] + _reference(name, marks[place.start]) + command[place.end :]
            # Quotes around nothing, where the secret was all that they had.
            command = command.replace(f"''\"${{{name}}}\"", f'"${{{name}}}"').replace(
                f"\"${{{name}}}\"''", f'"${{{name}}}"'
            )
        return command, tuple(dict.fromkeys(reversed(names)))

    def collect(self, text: str, line: int) -> None:
        """Learn the secrets of a line, so that they are found wherever else they are."""
        for place in find(text):
            self.name_of(text[place.start : place.end], place.name, line)

    def setting(self, name: str, value: str, line: int) -> bool:
        """Return whether a setting is a secret; it is kept as one then."""
        if not value or not find(f"{name}={value}"):
            return False
        if self.name_of(value, name, line) != name:
            self.secrets.append(Secret(name, line))
        return True

    def _known(self, text: str) -> Iterator[Found]:
        """Yield where a known value is in a text that does not say that it is a secret."""
        for value, name in self.names.items():
            if len(value) >= SHORTEST_KNOWN and value in text:
                for match in re.finditer(rf"(?<!\w){re.escape(value)}(?!\w)", text):
                    yield Found(*match.span(), name)


def _reference(name: str, mark: str) -> str:
    """Return a variable as the shell replaces it in a place with such quotes."""
    if mark == SINGLE:
        return f"'\"${{{name}}}\"'"
    if mark in (DOUBLE, INSIDE):
        return f"${{{name}}}"
    return f'"${{{name}}}"'


def find(text: str) -> list[Found]:
    """Return the secrets in a text, in order, of which none overlap."""
    return _apart(_all(text))


def _apart(places: Iterable[Found]) -> list[Found]:
    """Return the places in order, without those that overlap an earlier one."""
    found = sorted(places, key=lambda place: (place.start, -place.end))
    kept: list[Found] = []
    for place in found:
        if not kept or place.start >= kept[-1].end:
            kept.append(place)
    return kept


def _all(text: str) -> Iterator[Found]:
    for default, pattern in _PATTERNS:
        for match in pattern.finditer(text):
            groups = match.groupdict()
            start, end = match.span("value")
            value = text[start:end]
            if value[:1] in ("'", '"') and value[-1:] == value[:1]:
                start, end = start + 1, end - 1
            if _NO_SECRET.search(groups.get("name") or ""):
                continue
            if end > start and not _HARMLESS.fullmatch(text[start:end]) and "***" not in text[start:end]:
                yield Found(start, end, _variable(groups.get("name") or default))
    for match in _KNOWN.finditer(text):
        yield Found(*match.span("value"), "API_KEY")


def _variable(name: str) -> str:
    """Return the name of an option or a parameter as that of a variable."""
    variable = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_").upper()
    return variable if re.match(r"[A-Z_]", variable) else f"SECRET_{variable}"
