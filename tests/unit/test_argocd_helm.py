"""`argocd/helm`, which Argo CD's repository server calls for charts that may be anything, and the real helm behind."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.paths import ROOT

BOUNDED = ROOT / "argocd" / "helm"
REAL = Path(sys.executable).parent
DOUBLING = '{{- $s := "aaaaaaaa" }}{{- range until 40 }}{{- $s = printf "%s%s" $s $s }}{{- end }}a: {{ $s }}\n'
ENDLESS = "{{- range until 100000 }}{{ range until 100000 }}{{- end }}{{- end }}\n"
LONG = "{{- range $i := until 100000 }}\nkey{{ $i }}: {{ repeat 100 $.Chart.Name }}\n{{- end }}\n"
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def chart(tmp_path: Path) -> Path:
    folder = tmp_path / "chart"
    (folder / "templates").mkdir(parents=True)
    (folder / "Chart.yaml").write_text("apiVersion: v2\nname: c\nversion: 1.0.0\n")
    (folder / "templates" / "x.yaml").write_text("kind: ConfigMap\n")
    return folder


@pytest.fixture
def helm(chart: Path, tmp_path: Path) -> Run:
    """Run the program in the chart's folder, with bounds of its own if a test has them."""

    def run(
        *arguments: str, program: Path | None = None, real: Path = REAL, **bounds: int
    ) -> subprocess.CompletedProcess[str]:
        # Beside other tests, what takes 3 s of a processor may take a minute in all.
        program = program or _bounded(tmp_path / "bounded", **{"patience": 600, **bounds})
        environment = {**os.environ, "PATH": f"{program.parent}:{real}:{os.environ['PATH']}"}
        return subprocess.run(
            [program, *arguments], cwd=chart, env=environment, capture_output=True, text=True, check=False
        )

    return run


def _bounded(folder: Path, **bounds: int) -> Path:
    """Write `argocd/helm` with other bounds."""
    text = BOUNDED.read_text()
    for name, value in bounds.items():
        text, count = re.subn(rf"^{name}=\d+", f"{name}={value}", text, flags=re.MULTILINE)
        assert count == 1, name
    folder.mkdir(exist_ok=True)
    program = folder / "helm"
    program.write_text(text)
    program.chmod(0o755)
    return program


@pytest.mark.parametrize("name", ["bootstrap", "bounds", "platform", "team"])
def test_our_own_charts_pass_unchanged(name: str, chart: Path, helm: Run) -> None:
    values = [f"--values={file}" for file in (ROOT / "charts" / name / "tests" / "values").glob("*.yaml")]
    arguments = ["template", "release", str(ROOT / "charts" / name), *values[:1]]
    plain, bounded = helm(*arguments, program=REAL / "helm"), helm(*arguments)
    assert (bounded.returncode, bounded.stdout) == (plain.returncode, plain.stdout)


def test_a_chart_is_rendered_and_its_mistake_is_said(chart: Path, helm: Run) -> None:
    assert "kind: ConfigMap" in helm("template", ".").stdout
    (chart / "templates" / "x.yaml").write_text("{{ .Values.a.b }}")
    failed = helm("template", ".")
    assert failed.returncode == 1
    assert "nil pointer evaluating interface {}.b" in failed.stderr


def test_a_chart_that_doubles_a_text_ends_at_the_bound_of_memory(chart: Path, helm: Run) -> None:
    (chart / "templates" / "x.yaml").write_text(DOUBLING)
    ended = helm("template", ".")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "rendering the chart takes more than 512 MiB" in ended.stderr


def test_a_chart_that_never_ends_is_ended(chart: Path, helm: Run) -> None:
    (chart / "templates" / "x.yaml").write_text(ENDLESS)
    ended = helm("template", ".", seconds=1)
    assert ended.returncode == 1
    assert "1 s of a processor" in ended.stderr


def test_a_chart_that_waits_is_ended(helm: Run, tmp_path: Path) -> None:
    waits = tmp_path / "waits" / "helm"
    waits.parent.mkdir()
    waits.write_text("#!/bin/sh\nexec sleep 3600\n")
    waits.chmod(0o755)
    ended = helm("template", ".", real=waits.parent, patience=1)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "or 1 s in all: ended with code 137" in ended.stderr


def test_a_chart_that_prints_too_much_comes_out_not_even_in_part(chart: Path, helm: Run) -> None:
    (chart / "templates" / "x.yaml").write_text(LONG)
    ended = helm("template", ".")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "the chart prints more than 8 MiB" in ended.stderr


@pytest.mark.parametrize(
    "schema",
    [
        '{"$ref": "file:///etc/hostname"}',
        '{"$ref":\n"http://127.0.0.1:1/x.json"}',
        '{"properties": {"a": {"$ref": "x.json"}}}',
        r'{"\u0024ref": "file:///etc/hostname"}',
        '{"$schema": "http://127.0.0.1:1/x.json"}',
        '{"$dynamicRef": "file:///etc/hostname"}',
    ],
)
@pytest.mark.parametrize("place", ["", "charts/inner"])
def test_a_schema_that_refers_to_something_else_is_refused(chart: Path, helm: Run, schema: str, place: str) -> None:
    (chart / place).mkdir(parents=True, exist_ok=True)
    (chart / place / "values.schema.json").write_text(schema)
    refused = helm("template", ".")
    assert refused.returncode == 1
    assert "a schema must refer only to its own parts" in refused.stderr


def test_a_schema_of_its_own_parts_is_used(chart: Path, helm: Run) -> None:
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "properties": {"a": {"$ref": "#/definitions/a"}},
        "definitions": {"a": {"type": "string"}},
    }
    (chart / "values.schema.json").write_text(json.dumps(schema))
    assert helm("template", ".", "--set-string=a=b").returncode == 0
    assert "a: " in helm("template", ".", "--set=a=1").stderr


@pytest.mark.parametrize("command", ["dependency", "repo", "registry", "pull", "push", "install", "plugin"])
def test_nothing_else_that_helm_can_is_allowed(helm: Run, command: str) -> None:
    refused = helm(command, "build")
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"jobyard: helm {command} is not allowed here")


def test_a_packed_chart_is_refused(chart: Path, helm: Run) -> None:
    (chart / "charts").mkdir()
    (chart / "charts" / "x.tgz").write_bytes(b"")
    assert "a packed chart (.tgz); unpack it" in helm("template", ".").stderr
