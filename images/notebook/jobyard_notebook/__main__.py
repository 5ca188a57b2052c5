"""The task: run a notebook with the job's parameters, keep it with its outputs, and pass its output on."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from jobyard_notebook import notebook, parameters, place
from jobyard_notebook.errors import NotebookError
from jobyard_notebook.execute import execute

XCOM = Path("/airflow/xcom/return.json")
"""What a task writes here is its result for the tasks after it; of a failed one, it is shown with its error."""


def run(file: Path, to: str, given: list[tuple[str, str]]) -> str:
    """Run the notebook, keep it at `to`, and return the task's output as JSON.

    Raises:
        NotebookError: something is wrong with the notebook or its parameters, a cell failed, or it can't be kept.
    """
    place.check(to)
    read = notebook.read(file)
    values = parameters.values(notebook.parameters(read), given)
    notebook.check_output_cell(read)
    executed = execute(file, to, values)
    left = notebook.output(executed, to)
    print(f"executed notebook: {place.shown(to)}", flush=True)
    return left


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0 when it is done, 1 with one line on stderr when it can't be."""
    options = _parser().parse_args(arguments)
    code, left = 0, ""
    try:
        left = run(options.notebook, options.to, options.parameters)
    except NotebookError as error:
        code, left = 1, f"notebook {options.notebook.name}: {error}"
        print(left, file=sys.stderr, flush=True)
    if XCOM.parent.is_dir():
        XCOM.write_text(left, encoding="utf-8")
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="notebook", description=__doc__)
    parser.add_argument("notebook", type=Path, metavar="NOTEBOOK", help="file, relative to notebooks/")
    parser.add_argument("--to", required=True, metavar="S3-ADDRESS", help="where to keep the executed notebook")
    parser.add_argument(
        *("-p", "--parameter"),
        dest="parameters",
        action="append",
        default=[],
        type=_assignment,
        metavar="NAME=VALUE",
        help="value of a parameter that the notebook declares; may be repeated",
    )
    return parser


def _assignment(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name.isidentifier() or not equals:
        raise argparse.ArgumentTypeError(f"a parameter must be written as NAME=VALUE; got '{text}'")
    return name, value


if __name__ == "__main__":
    sys.exit(main())
