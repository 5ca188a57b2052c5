"""`docker run` and `docker compose run` as a task: the image, its variables, and the command inside."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from jobyard_cli.importing.shell import Outline, Part, Simple
from jobyard_cli.importing.words import word_set

_WITH_VALUE = word_set(
    """
    -e --env --env-file -v --volume --name -w --workdir -u --user --network --net --entrypoint -m --memory
    --cpus --gpus -p --publish --mount -l --label --shm-size --platform --pull --add-host --restart --hostname
    -h --dns --log-driver --log-opt --tmpfs --device --ipc --cidfile --index --cpu-shares --memory-swap --ulimit
    --security-opt --cap-add --volumes-from --link --runtime --stop-timeout --scale
    """
)
_REGISTRY = re.compile(r"[\w-]+(\.[\w-]+)+(:\d+)?/|localhost(:\d+)?/")
_WITHOUT_VALUE = re.compile(
    r"-[itdTqP]+|--(rm|init|privileged|interactive|tty|detach|no-TTY|no-deps|quiet|build|"
    r"use-aliases|service-ports|remove-orphans|read-only|quiet-pull|publish-all)"
)
_COMPOSE_VALUE = word_set(
    """
    -f --file -p --project-name --env-file --profile --project-directory --ansi --parallel
    """
)
_MACHINE_OPTIONS = {
    "-v": "mounts", "--volume": "mounts", "--mount": "mounts", "--env-file": "reads the variables of",
    "--volumes-from": "mounts", "--device": "uses the device",
}  # fmt: skip


@dataclass
class Run:
    """What a container ran. `text` is the command inside, "" where the image decides.

    `image` is an address with a registry; `local` is the name of an image of the machine, or of a default registry.
    """

    text: str = ""
    image: str = ""
    local: str = ""
    image_of: str = ""
    env: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)


def run(whole: Outline) -> Run | None:
    """Return what a container runs, if the command only changes the directory and starts one; else None."""
    *before, last = whole.commands or (None,)
    if last is None or last.compound:
        return None
    if any(command is None or not _is_cd(command) or command.redirections for command in before):
        return None
    if any(command.operator not in ("", "&&", ";") for command in whole.commands):
        return None
    words = last.words
    name = words[0].value.rpartition("/")[2] if words else ""
    if name in ("docker-compose", "podman-compose"):
        return _compose(whole, words, 1)
    if name in ("docker", "podman") and len(words) > 2:
        if words[1].text == "compose":
            return _compose(whole, words, 2)
        if words[1].text in ("run", "exec"):
            return _docker(whole, words, words[1].text)
    return None


def _is_cd(command: Simple) -> bool:
    return bool(command.words) and command.words[0].text == "cd"


def _compose(whole: Outline, words: tuple[Part, ...], position: int) -> Run | None:
    file = "docker-compose.yml"
    while position < len(words) and words[position].text.startswith("-"):
        option, _, value = words[position].value.partition("=")
        if option in _COMPOSE_VALUE and not value:
            position += 1
            value = words[position].value if position < len(words) else ""
        file = value if option in ("-f", "--file") else file
        position += 1
    if position >= len(words) or words[position].text not in ("run", "exec"):
        return None
    found = Run()
    target = _options(words, position + 1, found)
    if target is None:
        return None
    service = words[target].value
    found.image_of = f"the service '{service}' of {file}"
    found.text = _rest(whole, words, target + 1)
    found.notes.append(f"runs in a pod of its own, not in the service '{service}' of Compose")
    return found


def _docker(whole: Outline, words: tuple[Part, ...], verb: str) -> Run | None:
    found = Run()
    target = _options(words, 2, found)
    if target is None:
        return None
    name = words[target].value
    found.text = _rest(whole, words, target + 1)
    if verb == "exec":
        found.image_of = f"the container '{name}'"
        found.notes.append(f"runs in a pod of its own, not in the container '{name}'")
    elif _REGISTRY.match(name) is None or "$" in name or re.search(r"\s", name):
        found.image_of = f"'{name}'"
        found.local = re.split("[:@]", name.rpartition("/")[2])[0]
    else:
        found.image = name
        found.notes.append("the image is that of `docker run`")
    return found


def _options(words: tuple[Part, ...], position: int, found: Run) -> int | None:
    """Read the options, and return the number of the word after them; None if that is not certain."""
    entrypoint = ""
    while position < len(words) and words[position].text.startswith("-"):
        option, equals, value = words[position].value.partition("=")
        if not equals and option in _WITH_VALUE:
            position += 1
            value = words[position].value if position < len(words) else ""
        elif not equals and not _WITHOUT_VALUE.fullmatch(option):
            return None
        entrypoint = value if option == "--entrypoint" else entrypoint
        _option(option, value, found)
        position += 1
    if position >= len(words) or entrypoint:
        return None
    return position


def _option(option: str, value: str, found: Run) -> None:
    if option in ("-e", "--env"):
        name, equals, given = value.partition("=")
        if equals and "$" not in given:
            found.env[name] = given
        elif equals and given.strip('"') != f"${{{name}}}":
            found.doubts.append(
                f"its container gets {value} from a shell on the machine: put it into env or the command"
            )
        elif not equals:
            found.doubts.append(f"its container gets the variable {name} from the machine: put it into env or secrets")
    elif option in _MACHINE_OPTIONS:
        found.doubts.append(f"its container {_MACHINE_OPTIONS[option]} {value}, which a pod does not have")


def _rest(whole: Outline, words: tuple[Part, ...], position: int) -> str:
    return whole.text[words[position].start :] if position < len(words) else ""
