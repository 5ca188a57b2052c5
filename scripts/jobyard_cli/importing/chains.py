"""Find entries that wait for each other by the clock, and say how sure that is.

A person decides whether to join them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from jobyard_cli.importing.words import word_set

LONGEST_GAP = 4 * 60
"""Minutes between the starts of two entries of a chain."""
STAGES: tuple[tuple[str, ...], ...] = (
    (
        "extract",
        "fetch",
        "download",
        "collect",
        "collector",
        "scrape",
        "scraper",
        "crawl",
        "ingest",
        "pull",
        "sync",
        "load",
        "dump",
    ),
    (
        "clean",
        "cleanup",
        "transform",
        "prepare",
        "preprocess",
        "process",
        "parse",
        "convert",
        "merge",
        "enrich",
        "etl",
        "build",
    ),
    ("feature", "features", "featurize", "embed", "embeddings", "aggregate"),
    ("train", "training", "retrain", "fit", "learn"),
    ("evaluate", "eval", "validate", "drift", "test"),
    (
        "predict",
        "prediction",
        "predictions",
        "inference",
        "infer",
        "score",
        "scoring",
        "forecast",
        "recommend",
        "apply",
    ),
    ("publish", "upload", "export", "deploy", "push"),
    ("report", "reports", "notify", "email", "mail", "send", "digest", "summary", "dashboard"),
)
_STAGE_OF = {word: number for number, words in enumerate(STAGES) for word in words}
_AFTER = re.compile(
    r"\b(after|once|when|until|depends? on|waits? for|follow(s|ed)|finish(es|ed)?|complet(es|ed)|then|done|buffer|"
    r"needs?)\b",
    re.IGNORECASE,
)
_BEFORE = re.compile(r"\bbefore\b", re.IGNORECASE)
_PATHS = re.compile(
    r"[\w./~${}-]*[\w}]\.(?:csv|parquet|json|jsonl|pkl|pickle|h5|db|sqlite|txt|npy|npz|feather|model|joblib|gz|zip|tsv|xml)\b"
)
SURE = "almost certain"
LIKELY = "likely"
POSSIBLE = "possible"


@dataclass(frozen=True)
class Step:
    """An entry as chains see it. `moments` are the times of a day at which it starts, in minutes since midnight."""

    name: str
    line: int
    moments: tuple[int, ...]
    days: tuple[str, ...]
    zone: str
    folder: str
    program: str
    text: str
    """Its command, without secrets."""
    comment: str = ""


@dataclass(frozen=True)
class Link:
    """Two entries of which the second seems to wait for the first, with the reasons."""

    first: Step
    second: Step
    reasons: tuple[str, ...]
    points: int


@dataclass(frozen=True)
class Chain:
    """Entries in the order in which they would need each other."""

    steps: tuple[Step, ...]
    links: tuple[Link, ...]

    @property
    def certainty(self) -> str:
        """How sure the weakest link is."""
        weakest = min(link.points for link in self.links)
        if weakest >= 5:
            return SURE
        return LIKELY if weakest >= 3 else POSSIBLE

    @property
    def name(self) -> str:
        """The names of its jobs, as the command takes them."""
        return ",".join(step.name for step in self.steps)


def find(steps: Sequence[Step]) -> list[Chain]:
    """Return the chains among the entries of a crontab; each entry is in one at most."""
    ordered = sorted(steps, key=lambda step: (step.moments, step.line))
    links: dict[str, Link] = {}
    followed: set[str] = set()
    for number, second in enumerate(ordered):
        candidates = [link for first in ordered[:number] if (link := _link(first, second, ordered))]
        free = [link for link in candidates if link.first.name not in followed]
        if free:
            # The closest one in time among those with the most reasons.
            best = max(free, key=lambda link: (link.points, link.first.moments))
            links[best.first.name] = best
            followed.add(best.first.name)
    return list(_chains(ordered, links))


def _chains(ordered: Sequence[Step], links: dict[str, Link]) -> Iterator[Chain]:
    later = {link.second.name for link in links.values()}
    for step in ordered:
        if step.name in later or step.name not in links:
            continue
        chain: list[Link] = []
        name = step.name
        while name in links:
            chain.append(links[name])
            name = links[name].second.name
        yield Chain((chain[0].first, *(link.second for link in chain)), tuple(chain))


def _link(first: Step, second: Step, all_steps: Sequence[Step]) -> Link | None:
    gap = _gap(first, second)
    if gap is None or first.days != second.days or first.zone != second.zone:
        return None
    reasons: list[tuple[int, str]] = []
    shared = shared_file(first.text, second.text)
    if shared:
        reasons.append((3, f"both name {shared}"))
    if said := _said(first, second):
        reasons.append((3, said))
    order = _order(first, second)
    if order[0]:
        reasons.append(order)
    if first.folder and first.folder == second.folder:
        reasons.append((1, f"both are in {first.folder}"))
    if words := _common_words(first, second, all_steps):
        reasons.append((1, f"both are about {' and '.join(words)}"))
    points = sum(weight for weight, _ in reasons)
    # A folder alone, or words alone, say nothing about an order.
    if points < 2:
        return None
    when = f"they start {gap} min apart on the same days"
    return Link(first, second, (when, *(text for _, text in reasons)), points)


def _gap(first: Step, second: Step) -> int | None:
    """Return the minutes from each start of the first to the next one of the second; None if they differ."""
    if len(first.moments) != len(second.moments):
        return None
    gaps = {later - earlier for earlier, later in zip(first.moments, second.moments, strict=True)}
    pauses = [later - earlier for earlier, later in pairwise(first.moments)]
    longest = min([LONGEST_GAP, *pauses])
    gap = gaps.pop()
    return gap if not gaps and 0 < gap <= longest else None


def shared_file(first: str, second: str) -> str:
    """Return a file of data that two commands name; "" where they share no file."""
    files = set(_PATHS.findall(first)) & set(_PATHS.findall(second))
    return min(files, default="")


def _said(first: Step, second: Step) -> str:
    """Return what a comment says of the order."""
    names = _words(first.name) - _STOP
    if _AFTER.search(second.comment) and names & _words(second.comment):
        return f"the comment of line {second.line} names it"
    if _BEFORE.search(first.comment) and (_words(second.name) - _STOP) & _words(first.comment):
        return f"the comment of line {first.line} says before which it runs"
    return ""


_STOP = word_set(
    """
    run job sh py the and of to for in data main daily cron script all
    """
)


def _order(first: Step, second: Step) -> tuple[int, str]:
    """Return how much the words of two steps say about their order, and what; 0 and "" if nothing."""
    earlier, later = _stage(first), _stage(second)
    if earlier is None or later is None or earlier.number >= later.number:
        return 0, ""
    # A name says what a step does; an argument may say anything.
    points = 2 if earlier.in_name and later.in_name else 1
    return points, f"'{earlier.word}' usually comes before '{later.word}'"


@dataclass(frozen=True)
class _Stage:
    word: str
    number: int
    in_name: bool


def _stage(step: Step) -> _Stage | None:
    """Return the word of a step that says what it does, with its place in the usual order."""
    named = re.findall(r"[a-z]+", step.name)
    others = re.findall(r"[a-z]+", step.text.lower().rpartition("/")[2])
    for position, word in enumerate([*named, *others]):
        if word in _STAGE_OF:
            return _Stage(word, _STAGE_OF[word], position < len(named))
    return None


def _common_words(first: Step, second: Step, all_steps: Sequence[Step]) -> list[str]:
    """Return words that both names have and that few others have, if there are two: one is the name of many a thing."""
    if first.program == second.program:
        return []
    common = {
        word for word in _words(first.name) & _words(second.name) - _STOP if len(word) > 3 and word not in _STAGE_OF
    }
    telling = []
    for word in sorted(common):
        having = sum(1 for step in all_steps if word in _words(step.name))
        if having <= max(3, len(all_steps) // 3):
            telling.append(word)
    return telling[:3] if len(telling) > 1 else []


def _words(text: str) -> set[str]:
    return set(re.findall(r"[a-z0-9]+", text.lower()))
