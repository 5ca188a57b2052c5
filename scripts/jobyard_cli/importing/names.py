"""Name jobs after what their commands run."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from jobyard import limits

from jobyard_cli.importing.commands import Command
from jobyard_cli.importing.words import word_set

_INTERPRETERS = re.compile(
    r"(python|pypy|php|node|ruby|perl|bash|sh|zsh|dash|ksh|Rscript|R|java|deno|bun|tsx|ts-node|npx|go|dotnet|"
    r"julia|uv|poetry|pipenv|conda|mamba|micromamba|rye|hatch|pdm|npm|yarn|pnpm|bundle|rake|rails|artisan|console|cargo|mvn|"
    r"gradle|stack|make|papermill|jupyter|runipy|nbconvert|spark-submit|torchrun|accelerate|manage\.py|docker|kubectl|"
    r"docker-compose|time|timeout|sudo|gosu|env|nice|nohup|flock|xvfb-run|caffeinate|exec|run|command|wget|curl)[0-9.]*"
)
_SKIPPED = frozenset(["run", "exec", "-m", "run-script", "bundle", "nbconvert"])
_NOT_NAMING = word_set(
    """
    cd . source export set echo sleep test [ [[ true false : mkdir touch umask ulimit date if then fi eval for
    case select
    """
)
_GENERIC = word_set(
    """
    main run start cron cronjob cronjobs index app script scripts job jobs task tasks execute launcher cli
    manage worker daily hourly weekly monthly nightly entrypoint docker-entrypoint src bin code update process
    """
)
_VAGUE_FOLDERS = word_set(
    """
    home opt usr srv var www html app apps bin sbin local src scripts script code root ubuntu ec2-user cron
    cronjobs jobs tmp etc data workspace projects project git repos current deploy lib share venv env
    """
)
_EXTENSION = re.compile(r"\.(py|sh|bash|R|r|rb|pl|php|js|ts|mjs|ipynb|jar|sql|jl|pyc|exe|csh|zsh|scala|bat|bin)$")
_NUMBER = re.compile(r"[\d.]+[smhd]?")
_WORD = re.compile(r"[A-Za-z0-9]+")


def names_of(commands: Sequence[Command], clocks: Sequence[str]) -> list[str]:
    """Return a name for the job of each command; all differ. `clocks` are the times of day at which they run, or ""."""
    telling = [_telling(command) for command in commands]
    same: dict[str, list[int]] = {}
    for number, parts in enumerate(telling):
        same.setdefault(slug(parts[0]) or "job", []).append(number)
    wanted: dict[int, str] = {}
    for base, numbers in same.items():
        names = [base]
        if len(numbers) > 1:
            names = _told_apart([telling[number] for number in numbers], [clocks[number] for number in numbers])
        wanted.update(zip(numbers, names, strict=True))
    return numbered([wanted[number] for number in range(len(commands))])


def _told_apart(telling: Sequence[Sequence[str]], clocks: Sequence[str]) -> list[str]:
    """Return names for commands of one program: with as few arguments as tell them apart, or else with their times."""
    names: list[str] = []
    for length in range(2, max(map(len, telling)) + 1):
        names = [slug(" ".join(parts[:length])) or "job" for parts in telling]
        if len(set(names)) == len(names):
            return names
    names = [slug(" ".join(parts[:2])) or "job" for parts in telling]
    often = Counter(names)
    timed = zip(names, clocks, strict=True)
    return [slug(f"{name[: limits.NAME - 5]} {clock}") if often[name] > 1 else name for name, clock in timed]


def numbered(wanted: Sequence[str]) -> list[str]:
    """Return the names with a number where an earlier one is the same."""
    next_number: dict[str, int] = {}
    names: dict[str, None] = {}
    for name in wanted:
        unique = name
        while unique in names:
            number = next_number[name] = next_number.get(name, 1) + 1
            unique = f"{name[: limits.NAME - len(str(number)) - 1].rstrip('-')}-{number}"
        names[unique] = None
    return list(names)


def slug(text: str) -> str:
    """Return a text as a name that the schema allows; "" if it has no letter."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z][a-z])", " ", text)
    name = "-".join(_WORD.findall(parted)).lower()
    name = re.sub(r"^[^a-z]+", "", name)
    return name[: limits.NAME].rstrip("-")


def program_of(command: Command) -> str:
    """Return the path of the script or program that a command is about, "" without one."""
    words = _main(command)
    position = _program_position(words)
    return words[position] if position < len(words) else ""


def _main(command: Command) -> Sequence[str]:
    """Return the words of the simple command that says most: the first that is more than a preparation."""
    for words in command.programs:
        if words and _base(words[0]) not in _NOT_NAMING:
            return words
    return command.programs[-1] if command.programs else ()


def _program_position(words: Sequence[str]) -> int:
    """Return the number of the word that names a script, module or program."""
    if words and _base(words[0]) in ("curl", "wget", "http", "https", "lynx"):
        addresses = [position for position, word in enumerate(words) if position and "/" in word and word[0] != "-"]
        return max(addresses, key=lambda position: "://" in words[position], default=0)
    notebooks = [position for position, word in enumerate(words) if word.endswith(".ipynb")]
    position = notebooks[0] if notebooks else 0
    while position < len(words):
        word = words[position]
        started = position > 0 and (word.startswith("-") or word in _SKIPPED or _NUMBER.fullmatch(word) is not None)
        if not started and not _INTERPRETERS.fullmatch(_base(word)) and "=" not in word:
            return position
        position += 1
    return 0


def _telling(command: Command) -> list[str]:
    """Return the parts of a command that tell it from others, the most telling first."""
    words = _main(command)
    if image := command.image or command.local_image:
        return [_base(image).partition(":")[0].partition("@")[0], *filter(_is_telling, command.words)]
    if not words:
        return [command.image_of.split("'")[1] if "'" in command.image_of else ""]
    position = _program_position(words)
    program = words[position]
    rest = [word for word in words[position + 1 :] if _is_telling(word)]
    if "/" in program and _base(words[0]) in ("curl", "wget", "http", "https"):
        return [" ".join([_base(words[0]), *_address_parts(program)]), *rest]
    stem = _EXTENSION.sub("", _stem(program))
    if slug(stem).replace("-", "") in _GENERIC or slug(stem) in _GENERIC or not slug(stem):
        folder = next(_folders(program, command), "")
        return [f"{folder} {stem}".strip() or "job", *rest]
    return [stem, *rest]


def _stem(program: str) -> str:
    # A module's last part, as in `python -m src.jobs.pulse`.
    base = _base(program.rstrip("/"))
    if "/" not in program and not _EXTENSION.search(base) and re.fullmatch(r"[\w.]+", base):
        return base.rpartition(".")[2]
    return base


def _folders(program: str, command: Command) -> Iterator[str]:
    """Yield the names of the folders that a script is in, the closest first, and of that which the command enters."""
    entered = [words[1] for words in command.programs if words[:1] == ("cd",) and len(words) > 1]
    for path in [program.rpartition("/")[0], _module_folder(program), *entered]:
        for folder in reversed(re.split(r"[/.]", path)):
            if (
                slug(folder)
                and folder.lower() not in _VAGUE_FOLDERS
                and "$" not in folder
                and not folder.startswith("~")
            ):
                yield folder


def _module_folder(program: str) -> str:
    """Return `src.jobs` for the module `src.jobs.main`, "" for a file."""
    return "" if "/" in program or _EXTENSION.search(program) else program.rpartition(".")[0]


def _address_parts(address: str) -> list[str]:
    host, _, path = address.rpartition("//")[2].partition("/")
    last = [part for part in path.split("?")[0].split("/") if slug(part)]
    named = host.split(":")[0]
    return [*([] if named.replace(".", "").isdigit() else [named.split(".")[0]]), *last[-1:]]


def _is_telling(word: str) -> bool:
    return (
        re.search(r"\w\w", word) is not None
        and "/" not in word
        and "$" not in word
        and len(word) < 30
        and "***" not in word
    )


def _base(path: str) -> str:
    return path.rpartition("/")[2]
