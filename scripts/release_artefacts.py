"""Builds what a release consists of: the wheel, each chart as a Helm archive, a bill of materials, and their checksums.

`make dist` writes them into `dist`. With `--push oci://registry/path`, each chart goes to that registry too, as an OCI
artifact; Helm uses the login that it has (`helm registry login`).
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path

import uv

ROOT = Path(__file__).resolve().parents[1]
PROGRAMS = Path(sys.executable).parent
SUMS = "SHA256SUMS"
Words = list[str | Path]


def main(arguments: Sequence[str]) -> int:
    """Build everything into the named folder, which is emptied first; 0 unless a program fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="folder to write; it is emptied first")
    parser.add_argument("--tag", help="the release's tag, which must be v and the version in pyproject.toml")
    parser.add_argument(
        "--push", metavar="OCI", help="address to push the charts to, such as oci://registry.example.com/jobyard"
    )
    parser.add_argument("--plain-http", action="store_true", help="the registry has no TLS")
    chosen = parser.parse_args(arguments)
    if chosen.tag and chosen.tag != f"v{version()}":
        parser.error(f"the tag must be v{version()}, the version in pyproject.toml; got {chosen.tag}")
    folder: Path = chosen.folder.absolute()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        wheel = build_wheel(folder)
        charts = package_charts(folder)
        describe(wheel, folder / f"{wheel.name.split('-')[0]}-{version()}.cdx.json")
        write_sums(folder)
        if chosen.push:
            push(charts, chosen.push, plain_http=chosen.plain_http)
    except subprocess.CalledProcessError as error:
        print(f"release: {' '.join(map(str, error.cmd[:3]))} failed with exit code {error.returncode}", file=sys.stderr)
        return 1
    return 0


def version() -> str:
    """The version in pyproject.toml, which the charts of a release share."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return str(project["version"])


def build_wheel(folder: Path) -> Path:
    """Build the wheel and return its path."""
    _run(uv.find_uv_bin(), "build", "--quiet", "--wheel", "--out-dir", folder)
    # uv marks the folder as ignored by git; it is not part of a release.
    (folder / ".gitignore").unlink(missing_ok=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


def package_charts(folder: Path) -> list[Path]:
    """Package each chart with the release's version, and return the archives."""
    options: Words = ["--version", version(), "--app-version", version(), "--destination", folder]
    for chart in sorted((ROOT / "charts").glob("*/Chart.yaml")):
        _run(PROGRAMS / "helm", "package", chart.parent, *options)
    return sorted(folder.glob("*.tgz"))


def describe(wheel: Path, output: Path) -> None:
    """Write a CycloneDX bill of materials of all that is installed with the wheel, in the versions of uv.lock."""
    with tempfile.TemporaryDirectory() as scratch:
        pins = Path(scratch) / "pins.txt"
        environment = Path(scratch) / "environment"
        export: Words = [
            "export",
            "--quiet",
            "--frozen",
            "--no-dev",
            "--no-emit-project",
            "--no-hashes",
            "--output-file",
            pins,
        ]
        _run(uv.find_uv_bin(), *export)
        _run(uv.find_uv_bin(), "venv", "--quiet", "--python", sys.executable, environment)
        _run(uv.find_uv_bin(), "pip", "install", "--quiet", "--python", environment, "--requirement", pins, wheel)
        options: Words = ["--output-reproducible", "--output-format", "JSON", "--pyproject", ROOT / "pyproject.toml"]
        _run(PROGRAMS / "cyclonedx-py", "environment", *options, "--output-file", output, environment)


def write_sums(folder: Path) -> None:
    """Write the checksums of all files, as `sha256sum --check` reads them."""
    files = sorted(file for file in folder.iterdir() if file.name != SUMS)
    lines = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in files]
    (folder / SUMS).write_text("".join(lines), encoding="utf-8")


def push(charts: Sequence[Path], address: str, *, plain_http: bool) -> None:
    """Push the charts below an OCI address."""
    options: Words = ["--plain-http"] if plain_http else []
    for chart in charts:
        _run(PROGRAMS / "helm", "push", chart, address, *options)


def _run(*command: str | Path) -> None:
    subprocess.run([str(word) for word in command], cwd=ROOT, check=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
