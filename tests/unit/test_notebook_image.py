"""The notebook image's code: parameters, outputs, and notebooks that a kernel runs."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jobyard_notebook.__main__ as job
import nbformat
import pytest
from jobyard_notebook import notebook, place
from jobyard_notebook.errors import NotebookFileError, OutputError, ParameterError, StoreError
from jobyard_notebook.parameters import declared, values
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tests.support.paths import ROOT

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

KEY = "notebooks/risk/report/quality/dt=2026-11-20/scheduled__2026-11-20T02:00:00+00:00.ipynb"
TO = f"s3://data/{KEY}"
PARAMETERS = """\
# What a person sets.
day = "2026-11-20"
days: int = 7  # of history
threshold = 0.2
exact = True
code = "001"
rate: float = 1
columns = ["a",
           "b"]
limits = {"low": 1}
nothing = None
today = make_day()
url = "s3://data?a=b"
day.year = 3
"""
KINDS = declared(PARAMETERS)


def cell(source: str, *tags: str) -> Any:
    return new_code_cell(source, metadata={"tags": list(tags)})


@pytest.fixture
def left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of the task's output, and the notebook's folder as the working one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(job, "XCOM", tmp_path / "return.json")
    return tmp_path / "return.json"


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write a notebook of these cells, into a folder of its own."""

    def write(*cells: Any, **metadata: Any) -> Path:
        file = tmp_path / "notebooks" / "report.ipynb"
        file.parent.mkdir(exist_ok=True)
        nbformat.write(new_notebook(cells=list(cells), metadata=metadata), file)
        return file

    return write


def kept(s3: S3Client) -> Any:
    return nbformat.read(io.BytesIO(s3.get_object(Bucket="data", Key=KEY)["Body"].read()), as_version=4)


def test_a_notebook_gets_the_jobs_parameters_and_leaves_its_output(
    s3: S3Client, left: Path, write: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(
        new_markdown_cell("# Report"),
        cell("day, limit = 'none', 0\nday = '2026-01-01'\nlimit = 7", "parameters"),
        cell("import os, helper\nfrom IPython.display import JSON\nprint('rows of', day)"),
        cell("{'patient': 'p1'}"),
        cell("JSON({'limit': limit + 1, 'day': day, 'home': os.path.isdir(os.environ['HOME'])})", "output"),
    )
    (file.parent / "helper.py").write_text("")
    assert job.main([str(file), "--to", TO, "-p", "day=2026-11-20", "-p", "limit=12"]) == 0
    assert json.loads(left.read_text()) == {"notebook": TO, "limit": 13, "day": "2026-11-20", "home": True}
    captured = capsys.readouterr()
    assert captured.out == (
        "rows of 2026-11-20\nexecuted notebook: https://console.aws.amazon.com/s3/object/data?prefix="
        "notebooks/risk/report/quality/dt%3D2026-11-20/scheduled__2026-11-20T02%3A00%3A00%2B00%3A00.ipynb\n"
    )
    assert captured.err == ""
    executed = kept(s3)
    assert [found.get("execution_count") for found in executed.cells] == [None, 1, 2, 3, 4, 5]
    assert executed.cells[4].outputs[0].data["text/plain"] == "{'patient': 'p1'}"
    assert file.read_text().count("patient") == 1


def test_a_cell_that_fails_is_named_in_one_line_and_what_ran_before_is_kept(
    s3: S3Client, left: Path, write: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(cell("1 + 1"), new_markdown_cell("x"), cell("\n\nrows = []\nraise ValueError('no rows\\nat all')"))
    assert job.main([str(file), "--to", TO]) == 1
    error = capsys.readouterr().err
    assert error == (
        "notebook report.ipynb: cell [2], which begins with `rows = []`, failed: ValueError: no rows; "
        f"executed notebook: {place.shown(TO)}\n"
    )
    # The kubelet passes it on, and Airflow shows it with the failure.
    assert left.read_text() == error.strip()
    executed = kept(s3)
    outputs = [found.outputs for found in executed.cells if found.cell_type == "code"]
    assert outputs[0][0].data["text/plain"] == "2"
    assert outputs[1][0].ename == "ValueError"


def test_the_examples_notebook_reads_a_folder_as_in_jupyter(tmp_path: Path) -> None:
    rows = tmp_path / "raw" / "risk" / "consultations" / "dt=2026-11-20" / "rows.csv"
    rows.parent.mkdir(parents=True)
    rows.write_text("patient_id,mean_area\np1,1.5\np2,\n")
    read = notebook.read(ROOT / "images" / "notebook" / "notebooks" / "quality.ipynb")
    assert list(notebook.parameters(read)) == ["data", "team", "day"]
    *sources, output = [found.source for found in read.cells if found.cell_type == "code"]
    # A kernel would take ten times as long, and the tests above have one.
    names: dict[str, Any] = {}
    for source in sources:
        exec(source, names)
        names |= {"data": str(tmp_path), "team": "risk"}
    assert eval(output, names).data == {"rows": 2, "missing": 0.5}


def test_a_user_without_a_home_gets_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, _: str(path) != "/")
    monkeypatch.setenv("HOME", "/")
    made = place.folders(tmp_path)
    assert {made["HOME"], made["IPYTHONDIR"]} < {str(found) for found in tmp_path.iterdir()}
    # A person's own has the credentials for S3.
    monkeypatch.setenv("HOME", str(tmp_path))
    assert "HOME" not in place.folders(tmp_path)


def test_without_its_bucket_a_notebook_is_not_run(
    s3: S3Client, left: Path, write: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert job.main([str(write(cell("1"))), "--to", "s3://other/a.ipynb"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("notebook report.ipynb: can't write the executed notebook to s3://other/a.ipynb: ")
    assert error.count("\n") == 1
    assert "The specified bucket does not exist" in left.read_text()


def test_a_value_gets_the_type_of_the_default() -> None:
    given = {
        "day": "007",
        "days": "3",
        "threshold": "1e-3",
        "exact": "False",
        "code": "002",
        "rate": "2",
        "columns": '["c"]',
        "limits": "{}",
        "nothing": "1",
        "today": "2026-11-20",
        "url": "",
    }
    assert list(KINDS) == list(given)
    assert values(KINDS, given.items()) == {
        **given,
        "days": 3,
        "threshold": 0.001,
        "exact": False,
        "rate": 2.0,
        "columns": ["c"],
        "limits": {},
    }


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([("dya", "1")], "unknown parameter 'dya' (did you mean 'day'? its cell tagged 'parameters' has: day, days, "),
        ([("zzz", "1")], "unknown parameter 'zzz' (its cell tagged 'parameters' has: day, days, threshold, exact, "),
        ([("days", "3.5")], "parameter 'days' must be a whole number, as its default is; got '3.5'"),
        ([("threshold", "nan")], "parameter 'threshold' must be a number, as its default is; got 'nan'"),
        ([("exact", "1")], "parameter 'exact' must be true or false, as its default is; got '1'"),
        ([("columns", "{}")], "parameter 'columns' must be a list, written as JSON, as its default is; got '{}'"),
        ([("day", "1"), ("day", "2")], "parameter 'day' must be given once"),
        ([("days", "x"), ("rate", "y")], "got 'x'; parameter 'rate' must be a number"),
    ],
)
def test_values_that_do_not_fit_are_refused_all_at_once(given: list[tuple[str, str]], message: str) -> None:
    with pytest.raises(ParameterError) as caught:
        values(KINDS, given)
    assert message in str(caught.value)


def test_a_parameter_needs_a_cell_that_declares_it(left: Path, write: Callable[..., Path]) -> None:
    assert job.main([str(write(cell("day = 1"))), "--to", TO, "-p", "day=2"]) == 1
    assert left.read_text() == (
        "notebook report.ipynb: unknown parameter 'day': the notebook has no cell tagged 'parameters' that assigns one"
    )
    with pytest.raises(ParameterError, match="must have assignments alone, such as days = 7; line 2: "):
        declared("day = 1\n%matplotlib inline")


@pytest.mark.parametrize("text", ["day", "=1", "a day=1"])
def test_a_parameter_is_written_as_an_assignment(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exited:
        job.main(["report.ipynb", "--to", TO, "-p", text])
    assert exited.value.code == 2
    assert f"a parameter must be written as NAME=VALUE; got '{text}'" in capsys.readouterr().err


def test_what_is_no_python_notebook_is_refused(tmp_path: Path, write: Callable[..., Path]) -> None:
    file = write(cell("x <- 1"), kernelspec={"name": "ir", "display_name": "R", "language": "R"})
    with pytest.raises(NotebookFileError, match="must be of Python code; its kernel's language is R"):
        notebook.read(file)
    with pytest.raises(NotebookFileError, match=r"the file does not exist; .*/notebooks has: report.ipynb"):
        notebook.read(file.with_name("reprot.ipynb"))
    for content in ("", "print(1)", "{}", "[]", '{"nbformat": 4, "nbformat_minor": 5, "cells": 3, "metadata": {}}'):
        file.write_text(content)
        with pytest.raises(NotebookFileError, match="must be a notebook as Jupyter writes it"):
            notebook.read(file)


def shows(data: Any, *tags: str) -> Any:
    found = cell("JSON(x)", *tags)
    found.outputs = [new_output("execute_result", data={"application/json": data, "text/plain": "x"})]
    return found


def test_the_output_is_what_the_tagged_cell_shows_as_json() -> None:
    def output(*cells: Any) -> Any:
        return json.loads(notebook.output(new_notebook(cells=list(cells)), TO))

    assert output(shows({"rows": 1})) == {"notebook": TO}
    assert output(shows({"rows": 1}), shows({"rows": 2}, "output")) == {"notebook": TO, "rows": 2}
    assert output(shows({"notebook": "mine"}, "output")) == {"notebook": "mine"}
    assert output(shows(["a", "b"], "output")) == ["a", "b"]
    assert output(shows({"text": "x" * 4060}, "output")) == {"text": "x" * 4060}


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ([cell("{'rows': 1}", "output")], r"the cell tagged 'output' must end with JSON\(\{\.\.\.\}\)"),
        ([shows({"missing": float("nan")}, "output")], "must have neither NaN nor infinity; got {'missing': nan}"),
        ([shows({"text": "x" * 5000}, "output")], "must be smaller than 4096 bytes; it has 5012: store it in S3"),
    ],
)
def test_an_output_that_no_task_can_use_is_an_error(cells: list[Any], message: str) -> None:
    with pytest.raises(OutputError, match=message):
        notebook.output(new_notebook(cells=cells), TO)


def test_one_cell_leaves_the_output() -> None:
    with pytest.raises(OutputError, match="one cell at most must have the tag 'output'; 2 have it"):
        notebook.check_output_cell(new_notebook(cells=[shows(1, "output"), shows(2, "output")]))


@pytest.mark.parametrize("address", ["s3://data/report", "s3://data.ipynb", "s3:///a.ipynb", "https://h/a.ipynb", ""])
def test_an_executed_notebook_is_an_object_or_a_file(address: str) -> None:
    with pytest.raises(StoreError, match="--to must be an address such as s3://bucket/"):
        place.check(address)


def test_only_an_object_of_aws_has_a_page_of_the_console(monkeypatch: pytest.MonkeyPatch) -> None:
    assert place.shown("s3://data/a b.ipynb") == "https://console.aws.amazon.com/s3/object/data?prefix=a%20b.ipynb"
    assert place.shown("executed.ipynb") == "executed.ipynb"
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    assert place.shown(TO) == TO


def test_the_output_has_the_bound_that_airflow_has() -> None:
    from jobyard.contract import OUTPUT_BYTES, OUTPUT_PATH

    assert notebook.OUTPUT_BYTES == OUTPUT_BYTES
    assert str(job.XCOM) == OUTPUT_PATH
