"""A Karpenter for this measurement alone, whose fixed times are shorter where the night is.

Karpenter looks every ten seconds whether it can do without a machine, waits fifteen before it acts, and so on; no
setting changes that. Where a night of hours passes in minutes, these times have to be shorter by as much. The program
that the platform runs is not touched.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from jobyard_cli.cli.steps import Step
from jobyard_cli.go.modules import GOMOD, KARPENTER, module_folder, pinned_version
from jobyard_cli.go.toolchain import ENVIRONMENT, go_command, link_flags
from jobyard_cli.system.programs import stream

SPEED = "JOBYARD_NIGHT_SPEED"
"""Environment variable of the program: by how much its times are shorter."""
PACE = f"""\
package pace

import (
	"os"
	"strconv"
	"time"
)

var speed = read()

func read() time.Duration {{
	value, err := strconv.Atoi(os.Getenv("{SPEED}"))
	if err != nil {{
		panic("{SPEED} must be a whole number")
	}}
	return time.Duration(value)
}}

func Of(usual time.Duration) time.Duration {{
	return usual / speed
}}
"""
CONSTANTS = {
    "pkg/controllers/disruption/controller.go": ["pollingPeriod"],
    "pkg/controllers/disruption/consolidation.go": ["commandValidationDelay"],
    "pkg/controllers/disruption/queue.go": ["queueBaseDelay", "queueMaxDelay"],
    "pkg/controllers/nodeclaim/podevents/controller.go": ["dedupeTimeout"],
    "pkg/controllers/node/termination/controller.go": ["MinDrainTime"],
    "pkg/controllers/node/termination/terminator/eviction.go": ["evictionQueueBaseDelay", "evictionQueueMaxDelay"],
}
EXPRESSIONS = {
    "pkg/controllers/state/statenode.go": ["10*time.Second"],
    "pkg/controllers/node/termination/controller.go": ["1 * time.Second", "5 * time.Second"],
    "pkg/controllers/nodeclaim/lifecycle/controller.go": ["5 * time.Second"],
    "pkg/controllers/nodepool/counter/controller.go": ["time.Second * 5"],
    "pkg/controllers/provisioning/controller.go": ["10 * time.Second"],
}
"""The places, by file of Karpenter's module; each must be there."""


def build(target: Path, step: Step) -> Path:
    """Return the program, built into a folder unless it is there.

    Raises:
        ProgramError: the build failed.
    """
    program = target / f"karpenter-{pinned_version(KARPENTER)}"
    if program.exists():
        return program
    go = go_command(step)
    copy = target / "module"
    shutil.rmtree(copy, ignore_errors=True)
    _copy(module_folder(go, KARPENTER), copy)
    shutil.copyfile(GOMOD / "go.sum", target / "go.sum")
    file = target / "go.mod"
    file.write_text((GOMOD / "go.mod").read_text() + f"\nreplace {KARPENTER} => {copy}\n")
    flags = ["-ldflags", link_flags(pinned_version("k8s.io/kubernetes")), "-modfile", str(file), "-o", str(program)]
    stream([*go, "build", *flags, "./karpenter"], step, what="building Karpenter", environment=ENVIRONMENT, cwd=GOMOD)
    return program


def _copy(source: Path, target: Path) -> None:
    for path in [source / "go.mod", *_files(source / "pkg"), *_files(source / "kwok")]:
        copy = target / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    for name in CONSTANTS.keys() | EXPRESSIONS.keys():
        text = (target / name).read_text()
        (target / name).write_text(_shortened(text, CONSTANTS.get(name, []), EXPRESSIONS.get(name, [])))
    (target / "pkg" / "pace").mkdir()
    (target / "pkg" / "pace" / "pace.go").write_text(PACE)


def _files(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        if path.is_file() and not path.name.endswith("_test.go"):
            yield path


def _shortened(text: str, constants: Iterable[str], expressions: Iterable[str]) -> str:
    """Return a file of Go's whose constants are variables, and these and some expressions shorter by the speed."""
    variables = []
    for name in constants:
        declared = re.search(rf"^(?:const |\t){name}\s*= (.*)\n", text, re.M)
        assert declared, name
        text = text.replace(declared[0], "")
        variables.append(f"\nvar {name} = pace.Of({declared[1]})\n")
    for expression in expressions:
        assert expression in text, expression
        text = text.replace(expression, f"pace.Of({expression})")
    imported = text.replace("import (", f'import (\n\t"{KARPENTER}/pkg/pace"', 1)
    return "".join([imported, *variables])
