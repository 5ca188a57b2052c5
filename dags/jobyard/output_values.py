"""The output of a task as a value: read from what its container left, and compared by a gate.

Nothing of Airflow's is imported but its exceptions, where it is installed: `jobyard run` reads outputs and judges gates
with this module too.
"""

from typing import Any

from jobyard.contract import GATE_TESTS, OUTPUT_BYTES, OUTPUT_PATH
from jobyard.errors import GateError, OutputError, PlainDataError
from jobyard.plain import decode


def read_output(text: str | None) -> object:
    """Return the JSON value that a pod's container left as `text`.

    Any but null, which Airflow does not tell from no output at all.

    Raises:
        OutputError: the output is missing, null, too long or not JSON.
    """
    if not text:
        raise OutputError(f"the container wrote nothing to {OUTPUT_PATH}, and another task needs its output")
    value = _parsed(text)
    if value is None:
        raise OutputError(f"the output in {OUTPUT_PATH} must not be null, as another task needs a value")
    return value


def read_unneeded(text: str | None) -> object:
    """Return the JSON value that a pod's container left as `text`, for no other task; None if it left nothing.

    Raises:
        OutputError: the output is too long or not JSON.
    """
    return _parsed(text) if text else None


def _parsed(text: str) -> object:
    if len(text.encode()) >= OUTPUT_BYTES:
        raise OutputError(
            f"the output in {OUTPUT_PATH} must be smaller than {OUTPUT_BYTES} bytes; store larger data in S3"
        )
    try:
        return decode(text)
    except PlainDataError as error:
        raise OutputError(f"the output in {OUTPUT_PATH} {error}") from error


def read_list(text: str | None) -> object:
    """Return the list that a pod's container left as `text`, for a `foreach`.

    Raises:
        OutputError: see `read_output`; or the output is not a list.
    """
    value = read_output(text)
    # Airflow would try the task again, and of an object make an instance for each key.
    if not isinstance(value, list):
        raise OutputError(f"the output in {OUTPUT_PATH} must be a list, as a foreach uses it; got {value!r:.80}")
    return value


class Condition:
    """A condition on the output of another task; the task behind it is skipped where it does not hold."""

    def __init__(self, task: str, value: str | None, test: str, bound: object) -> None:
        """`value` is the dotted path of the figure in the output; None stands for the output itself."""
        if test not in GATE_TESTS:
            raise GateError(f"unknown test {test!r} of a gate; available: {', '.join(GATE_TESTS)}")
        if test != "equals" and not _is_number(bound):
            raise GateError(f"gate on {task!r}: '{test}' must be a number; got {bound!r}")
        self.task = task
        self.value = value
        self.test = test
        self.bound = bound

    def judge(self, output: object) -> tuple[bool, str]:
        """Return whether the condition holds for the other task's output, and what was compared, in words.

        Raises:
            GateError: the output lacks the value, or it can't be compared.
        """
        figure = self._figure(output)
        name = f"{self.task}.{self.value}" if self.value else self.task
        words = f"{name} is {figure!r}, wanted: {self.test.replace('_', ' ')} {self.bound!r}"
        if self.test != "equals" and not _is_number(figure):
            raise GateError(f"{words}; the value must be a number")
        return TESTS[self.test](figure, self.bound), words

    def _figure(self, output: Any) -> Any:
        if not self.value:
            return output
        for step in self.value.split("."):
            if not isinstance(output, dict) or step not in output:
                content = ", ".join(sorted(map(str, output))) if isinstance(output, dict) else repr(output)
                raise GateError(f"no {self.value!r} in the output of task {self.task!r}; there is: {content}")
            output = output[step]
        return output


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


TESTS: dict[str, Any] = {
    "above": lambda figure, bound: figure > bound,
    "at_least": lambda figure, bound: figure >= bound,
    "below": lambda figure, bound: figure < bound,
    "at_most": lambda figure, bound: figure <= bound,
    # In Python, and not in JSON, 1 is true.
    "equals": lambda figure, bound: isinstance(figure, bool) is isinstance(bound, bool) and figure == bound,
}
