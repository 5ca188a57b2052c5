"""More memory for the pod after one that was killed for lack of it: what `on_oom` of a task means."""

from collections.abc import Mapping
from math import ceil

from jobyard.entries import OnOom, Resources
from jobyard.quantities import canonical_memory, parse_quantity

_MEBIBYTE = 1 << 20


def next_memory(current: str, on_oom: OnOom) -> str | None:
    """Return the amount of memory after this one, a canonical quantity; None if it has reached `at_most`.

    It is a whole number of Mi, rounded up, unless `at_most` itself is not.
    """
    size = _bytes(current)
    most = _bytes(on_oom["at_most"])
    grown = min(_whole_mebibytes(_grown(size, on_oom)), most)
    # Not larger either where a release written by hand says so.
    if grown <= size:
        return None
    return canonical_memory(grown)


def more_memory(resources: Resources, on_oom: OnOom) -> Resources | None:
    """Return the resources of the next pod; None if the memory limit has reached `at_most`.

    Request and limit both grow. The limit stays at least the request and, as charts/bounds requires, at most twice.
    """
    limit = resources["limits"].get("memory") or resources["requests"].get("memory")
    if limit is None or next_memory(limit, on_oom) is None:
        return None
    return {"requests": _more(resources["requests"], on_oom), "limits": _more(resources["limits"], on_oom)}


def _more(amounts: Mapping[str, str], on_oom: OnOom) -> dict[str, str]:
    amounts = dict(amounts)
    if memory := amounts.get("memory"):
        amounts["memory"] = next_memory(memory, on_oom) or memory
    return amounts


def _grown(size: int, on_oom: OnOom) -> int:
    percent = on_oom["percent"]
    if percent is not None:
        return -(-size * percent // 100)
    return size + _bytes(on_oom["add"] or "0")


def _bytes(quantity: str) -> int:
    return ceil(parse_quantity(quantity))


def _whole_mebibytes(size: int) -> int:
    return -(-size // _MEBIBYTE) * _MEBIBYTE
