"""What the local platform asks of the machine: Linux, root, and Debian's packages for the parts that Debian has."""

from __future__ import annotations

import os
import platform
import shutil
import socket
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from jobyard_cli.system.folders import cache_dir
from jobyard_cli.system.locks import one_builder
from jobyard_cli.system.programs import Report, run

from jobyard_local.errors import UnsupportedError

# package -> a program it brings, by which we see whether it is there already
SERVICES = {
    "buildah": "buildah",
    "ca-certificates": "/usr/sbin/update-ca-certificates",
    "docker-registry": "docker-registry",
    "git": "git",
    "iproute2": "ip",
    "mmdebstrap": "mmdebstrap",
    "redis-server": "redis-server",
    "skopeo": "skopeo",
}
CLUSTER = {
    "containerd": "containerd",
    "containernetworking-plugins": "/usr/lib/cni/bridge",
    "prometheus": "prometheus",
    "runc": "runc",
}
CNI_PLUGINS = Path("/usr/lib/cni")


def check(embedded: bool = True) -> None:
    """Refuse a machine that can't run the platform, with everything that is missing at once.

    `embedded` is whether the platform is to have a cluster of its own.

    Raises:
        UnsupportedError: it is not Linux on amd64, we are not root, or packages are missing and there is no apt-get.
    """
    reasons = [*_unfit(embedded)]
    if (missing := missing_packages(embedded)) and shutil.which("apt-get") is None:
        reasons.append(f"it lacks {', '.join(missing)}, and apt-get, which would install them")
    if reasons:
        raise UnsupportedError("the local platform can't run here: " + "; ".join(reasons))


def _unfit(embedded: bool) -> Iterator[str]:
    if platform.system() != "Linux":
        yield f"it needs Linux (this is {platform.system()}); a Linux virtual machine suffices"
        return
    if platform.machine() != "x86_64":
        yield f"it needs an x86-64 processor (this is {platform.machine()})"
    if os.geteuid() != 0 and embedded:
        yield "it needs root, because the kubelet starts containers (try `sudo -E`)"
    elif os.geteuid() != 0 and missing_packages(embedded):
        yield "it needs root, to install packages (try `sudo -E`)"


def missing_packages(embedded: bool) -> list[str]:
    """Return the names of the Debian packages whose program is missing here."""
    return _missing(_wanted(embedded))


def _wanted(embedded: bool) -> dict[str, str]:
    return {**SERVICES, **(CLUSTER if embedded else {})}


def _missing(wanted: Mapping[str, str]) -> list[str]:
    return [package for package, program in wanted.items() if shutil.which(program) is None]


def install_packages(embedded: bool, report: Report) -> None:
    """Install what is missing with apt-get.

    Raises:
        ProgramError: apt-get failed.
    """
    install(_wanted(embedded), report)


def install(wanted: Mapping[str, str], report: Report) -> None:
    """Install with apt-get those packages, given with a program of each, whose program is not here.

    Raises:
        ProgramError: apt-get failed.
    """
    if not _missing(wanted):
        return
    # apt-get fails while another one runs, and several kinds of test run at once, each with its packages.
    with one_builder(cache_dir() / "apt.lock"):
        _install(_missing(wanted), report)


def _install(missing: Sequence[str], report: Report) -> None:
    if not missing:
        return
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    report("apt-get update")
    run(["apt-get", "update", "-qq"], what="apt-get update", environment=quiet)
    report(f"apt-get install {' '.join(missing)}")
    # Services that the packages would start are not wanted: the platform starts its own.
    with _no_services():
        run(
            ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing],
            what="apt-get install",
            environment=quiet,
        )


class _no_services:
    """While this is entered, packages that are installed start no service (invoke-rc.d obeys policy-rc.d)."""

    policy = Path("/usr/sbin/policy-rc.d")

    def __enter__(self) -> None:
        self.ours = not self.policy.exists()
        if self.ours:
            self.policy.write_text("#!/bin/sh\nexit 101\n")
            self.policy.chmod(0o755)

    def __exit__(self, *_error: object) -> None:
        if self.ours:
            self.policy.unlink(missing_ok=True)


def free_port(preferred: int, taken: Collection[int], host: str = "127.0.0.1") -> int:
    """Return the preferred port, or the next one that is free."""
    for port in range(preferred, preferred + 200):
        if port not in taken and is_free(port, host):
            return port
    raise UnsupportedError(f"no free port between {preferred} and {preferred + 199}")


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Return whether a server may listen on the port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True
