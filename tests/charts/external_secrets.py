"""The External Secrets operator with AWS's provider alone, and its kinds, from the Go module in `external-secrets/`.

The operator registers the providers of all clouds, most of whose code is another cloud's SDK. Two files of a copy of
the module name those that are registered, so that what is built is what runs, in a tenth of the time.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from jobyard_cli.go import toolchain
from jobyard_cli.system.locks import one_builder
from jobyard_cli.system.programs import Report, run

from tests.charts.upstream_files import download

PINS = Path(__file__).parent / "external-secrets"
MODULE = "github.com/external-secrets/external-secrets"
REGISTERED = {
    "pkg/provider/register/register.go": f'package register\n\nimport _ "{MODULE}/pkg/provider/aws"\n',
    "pkg/generator/register/register.go": "package register\n",
}
"""Files of the module in their place, and what they say here."""
KINDS = Path("config", "crds", "bases")
PROGRAM = "external-secrets"


def external_secrets(cache: Path, report: Report) -> Path:
    """The folder with the operator's program and, below `kinds/`, its kinds, built first where the cache lacks it.

    Raises:
        ProgramError: a download or the build failed.
    """
    built = cache / "external-secrets" / _key()
    with one_builder(cache / "external-secrets.lock"):
        if not built.exists():
            _build(built, report)
    return built


def _build(target: Path, report: Report) -> None:
    partial = target.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    (partial / "kinds").mkdir(parents=True)
    report("External Secrets, from source")
    go = toolchain.go_command(report)
    # By itself, as it is replaced in the build.
    module = download(go, MODULE, _version(), PINS)
    for file in (module / KINDS).glob("*external-secrets.io_*.yaml"):
        shutil.copyfile(file, partial / "kinds" / file.name)
    copy = partial / "module"
    _copy(module, copy)
    shutil.copyfile(PINS / "go.sum", partial / "go.sum")
    pins = partial / "go.mod"
    pins.write_text((PINS / "go.mod").read_text() + f"\nreplace {MODULE} => {copy}\n")
    command = [*go, "build", "-ldflags", "-s -w", "-modfile", str(pins), "-o", str(partial / PROGRAM), "."]
    run(command, what="building External Secrets", cwd=PINS, environment=toolchain.ENVIRONMENT)
    shutil.rmtree(copy)
    partial.rename(target)


def _version() -> str:
    found = re.search(rf"{re.escape(MODULE)} (v\S+)", (PINS / "go.mod").read_text())
    assert found
    return found[1]


def _copy(module: Path, copy: Path) -> None:
    for path in [module / "go.mod", *_files(module)]:
        target = copy / path.relative_to(module)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    for name, text in REGISTERED.items():
        assert (copy / name).exists(), name
        (copy / name).write_text(text)


def _files(module: Path) -> Iterator[Path]:
    for folder in ("apis", "cmd", "pkg"):
        for path in (module / folder).rglob("*"):
            if path.is_file() and not path.name.endswith("_test.go"):
                yield path


def _key() -> str:
    digest = hashlib.sha256(repr((REGISTERED, toolchain.ENVIRONMENT)).encode())
    for name in ("go.mod", "go.sum", "main.go"):
        digest.update((PINS / name).read_bytes())
    return digest.hexdigest()[:12]
