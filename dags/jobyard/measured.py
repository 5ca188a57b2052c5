"""The numbers of a task's output by dotted path: `{"drift": {"psi": 0.1}, "rows": 9}` has `drift.psi` and `rows`.

They are a template field of the operator, which is stored again after the task has run (Airflow's
`overwrite_rtif_after_execution`). So the lists of task instances that Airflow's REST API returns have them in
`rendered_fields`, and collecting them takes no request for each task.
"""

from collections.abc import Iterator, Mapping

from jobyard.plain import SERIALIZED

PATH_CHARACTERS = 200
LIST_ELEMENTS = 20
"""A longer list is data, not a measurement, and has no numbers here."""
NUMBERS = 200
CHARACTERS = 3_900
"""Of the mapping as a text of Python's: Airflow replaces a field of more than 4,096 by a note
(`core.max_templated_field_length`)."""


def numbers(output: object) -> tuple[dict[str, float], int]:
    """Return the output's numbers by path, in its order, and how many of them exceed the limits.

    `output` is plain data (see `plain`). The path of an output that is a number itself is "". True and false do not
    count as numbers.
    """
    kept: dict[str, float] = {}
    size, dropped = 2, 0
    for path, number in _flattened("", output):
        # Two quotation marks, a colon, a comma and two spaces.
        length = len(path) + len(repr(number)) + 6
        if not _is_name(path) or len(kept) == NUMBERS or size + length > CHARACTERS:
            dropped += 1
        elif path not in kept:
            kept[path] = number
            size += length
    return kept, dropped


def _flattened(path: str, value: object) -> Iterator[tuple[str, float]]:
    if isinstance(value, Mapping):
        for key, entry in value.items():
            yield from _flattened(f"{path}.{key}" if path else key, entry)
    elif isinstance(value, list):
        for index, entry in enumerate(value if len(value) <= LIST_ELEMENTS else []):
            yield from _flattened(f"{path}.{index}" if path else str(index), entry)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield path, value


def _is_name(path: str) -> bool:
    """Return whether the path is short plain text, without what templates or Airflow's serialization begin with."""
    return (
        len(path) <= PATH_CHARACTERS
        and path.isprintable()
        and not any(sign in path for sign in "{}\\'\"")
        and path not in SERIALIZED
    )
