"""Dockerfiles of an attacker's, built by the real buildah as the pipeline's job without rights builds them.

What must not come out lies on this machine: a file, and a process with a variable. Each try writes what it got into its
image.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import signal
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from jobyard_cli.go import toolchain
from jobyard_cli.images.errors import ImageLayoutError
from jobyard_cli.images.layouts import digest_of
from jobyard_cli.images.platforms import BINFMT, emulated
from jobyard_cli.images.registry import Registry, push
from jobyard_cli.system.errors import ProgramError
from jobyard_cli.system.programs import run
from jobyard_local import machine
from jobyard_local.demo.team_repo import commit, jobyard
from jobyard_local.machine import free_port
from jobyard_local.processes import Process, Supervisor, answers
from jobyard_local.services import git

from tests.conftest import make_team_repo

SECRET = "this-token-is-worth-the-release"
PROGRAMS = {
    "buildah": "buildah",
    "skopeo": "skopeo",
    "busybox-static": "/bin/busybox",
    "docker-registry": "docker-registry",
}
EMULATOR = {"qemu-user-static": "qemu-aarch64-static"}
MAGIC = rb"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00"
MASK = rb"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"
UP = "/.." * 30
START = "FROM scratch\nCOPY sh /bin/sh\nCOPY sh /bin/busybox\n"
TRIES = {
    # A second chroot, into /proc; from there a process's working folder is outside, and so is all above it.
    "a-second-chroot": "busybox sleep 5 & A=$!; busybox chroot /proc /$A/root/bin/busybox cat /$A/cwd{up}{file}",
    "variables-of-processes": "busybox cat /proc/[0-9]*/environ",
    "folders-of-processes": "busybox cat /proc/[0-9]*/root{file}; busybox cat /proc/[0-9]*/cwd{up}{file}",
    "files-of-processes": "busybox ls -l /proc/[0-9]*/fd",
    "own-variables": "busybox env",
    "a-disk": "busybox mknod /disk b 254 0 && busybox cat /disk",
    "a-mount": "busybox mount -t proc proc /proc; busybox mkdir /m; busybox mount --bind / /m; busybox cat /m{file}",
    "a-user-namespace": "busybox unshare -r -m /bin/busybox cat {file}",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    machine.install({**PROGRAMS, **EMULATOR}, print)
    return tmp_path_factory.mktemp("hostile-images")


@pytest.fixture(scope="module")
def token(folder: Path) -> Iterator[Path]:
    """A file with the secret, and a process that has it in its environment."""
    file = folder / "aws-token"
    file.write_text(SECRET)
    with subprocess.Popen(["sleep", "600"], env={"TOKEN": SECRET}) as process:
        yield file
        process.send_signal(signal.SIGKILL)


@pytest.fixture(scope="module")
def storage(folder: Path) -> dict[str, str]:
    """What a runner gives buildah: a storage that it can have without any right, here one of its own."""
    places = f'graphroot = "{folder}/storage"\nrunroot = "{folder}/running"\n'
    (folder / "storage.conf").write_text(f'[storage]\ndriver = "vfs"\n{places}')
    return {
        "BUILDAH_ISOLATION": "chroot",
        "STORAGE_DRIVER": "vfs",
        "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
    }


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """Team risk's repository, with no image yet."""
    made = make_team_repo(tmp_path / "risk-jobs")
    shutil.rmtree(made / "images")
    git(made, "init", "--quiet", "--initial-branch=main")
    return made


Build = Callable[..., Path]


@pytest.fixture
def build(repo: Path, storage: dict[str, str], token: Path, tmp_path: Path) -> Build:
    """`jobyard build-images` of these Dockerfiles; the folder of layouts."""

    def make(dockerfiles: dict[str, str], *options: str) -> Path:
        for name, text in dockerfiles.items():
            (repo / "images" / name).mkdir(parents=True, exist_ok=True)
            (repo / "images" / name / "Dockerfile").write_text(text)
            shutil.copy("/bin/busybox", repo / "images" / name / "sh")
        commit(repo, "Images")
        output = tmp_path / "built"
        secrets = {"JOBYARD_ID_TOKEN": SECRET, "CI_JOB_TOKEN": SECRET, "AWS_WEB_IDENTITY_TOKEN_FILE": str(token)}
        jobyard(repo, "build-images", f"--output={output}", *options, environment={**storage, **secrets})
        return output

    return make


def attack(step: str, token: Path) -> str:
    """A Dockerfile whose step writes what it gets, and first that it was made."""
    script = step.replace("busybox", "/bin/busybox").replace("/bin//bin/", "/bin/")
    script = script.format(up=UP, file=token)
    return f"{START}RUN {{ echo tried; {script}; }} >/got 2>&1; true\n"


def content(layout: Path, name: str = "got") -> str:
    """A file of an image that has one platform."""
    for blob in (layout / "blobs" / "sha256").iterdir():
        if blob.read_bytes()[:2] == b"\x1f\x8b":
            with gzip.open(blob) as unpacked, tarfile.open(fileobj=unpacked) as layer:
                if name in layer.getnames() and (file := layer.extractfile(name)):
                    return file.read().decode("utf-8", "replace")
    raise AssertionError(f"no layer of {layout} has {name}")


def test_without_our_options_a_second_chroot_gets_out(folder: Path, storage: dict[str, str], token: Path) -> None:
    """So the tries are real, and what stops them is what we give to buildah."""
    context = folder / "plain"
    context.mkdir()
    shutil.copy("/bin/busybox", context / "sh")
    (context / "Dockerfile").write_text(attack(TRIES["a-second-chroot"], token))
    run(["buildah", "build", "--tag=plain", context], what="building", environment=storage)
    run(["buildah", "push", "--quiet", "plain", f"oci:{folder}/plain-layout:x"], what="packing", environment=storage)
    assert SECRET in content(folder / "plain-layout")


def test_no_step_gets_what_is_outside_of_its_image(build: Build, token: Path) -> None:
    built = build({name: attack(step, token) for name, step in TRIES.items()})
    got = {name: content(built / name) for name in TRIES}
    assert {name for name, text in got.items() if text.startswith("tried\n")} == set(TRIES)
    assert {name: text for name, text in got.items() if SECRET in text or str(token) in text.split()} == {}


@pytest.mark.parametrize("source", ["docker-archive:{}", "dir:{}", "oci-archive:{}", "file://{}"])
def test_an_image_can_not_start_from_a_file_of_this_machine(build: Build, token: Path, source: str) -> None:
    with pytest.raises(ProgramError) as caught:
        build({"starts": f"FROM {source.format(token)}\nCOPY sh /bin/sh\n"})
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("step", ["COPY {} /got", "ADD {} /got", "COPY ../../../../../../../../../..{} /got"])
def test_a_file_outside_of_the_context_is_not_copied(build: Build, token: Path, step: str) -> None:
    with pytest.raises(ProgramError) as caught:
        build({"copies": f"{START}{step.format(token)}\n"})
    assert SECRET not in str(caught.value)


@pytest.fixture(scope="module")
def registry(folder: Path) -> Iterator[Registry]:
    """Debian's docker-registry, for these tests alone."""
    port = free_port(25000, [])
    config = {
        "version": 0.1,
        "log": {"level": "error"},
        "storage": {"filesystem": {"rootdirectory": str(folder / "registry")}},
        "http": {"addr": f"127.0.0.1:{port}"},
    }
    (folder / "registry.yml").write_text(yaml.safe_dump(config))
    command = ["docker-registry", "serve", str(folder / "registry.yml")]
    supervisor = Supervisor(folder / "processes")
    try:
        supervisor.start(Process("registry", command, answers(f"http://127.0.0.1:{port}/v2/")))
        yield Registry(f"127.0.0.1:{port}", "risk")
    finally:
        supervisor.stop(supervisor.names())


def test_a_layout_whose_layer_was_changed_is_not_pushed(build: Build, registry: Registry) -> None:
    layout = build({"changed": START}) / "changed"
    tag = json.loads((layout / "index.json").read_text())["manifests"][0]["annotations"].popitem()[1]
    digest_of(layout, tag)
    layers = [blob for blob in (layout / "blobs" / "sha256").iterdir() if blob.read_bytes()[:2] == b"\x1f\x8b"]
    data = bytearray(layers[0].read_bytes())
    data[-1] ^= 1
    layers[0].write_bytes(bytes(data))
    # Of the same size, so that only skopeo can see it.
    digest_of(layout, tag)
    with pytest.raises(ProgramError, match="pushing changed"):
        push(layout, registry, "changed", tag)
    assert registry.digest("changed", tag) is None
    layers[0].unlink()
    layers[0].symlink_to("/etc/passwd")
    with pytest.raises(ImageLayoutError, match="must be a regular file"):
        digest_of(layout, tag)


@pytest.fixture
def arm64(tmp_path: Path) -> Iterator[Path]:
    """A program for arm64, and a kernel that runs such with qemu; as it was afterwards."""
    source = tmp_path / "arm64"
    source.mkdir()
    (source / "go.mod").write_text("module arm64\n\ngo 1.22\n")
    says = 'os.WriteFile("/got", []byte(runtime.GOARCH), 0o644)'
    (source / "main.go").write_text(f'package main\n\nimport (\n\t"os"\n\t"runtime"\n)\n\nfunc main() {{ {says} }}\n')
    for architecture in ("amd64", "arm64"):
        environment = {**toolchain.ENVIRONMENT, "GOARCH": architecture}
        command = [*toolchain.go_command(print), "build", "-o", f"program-{architecture}", "."]
        run(command, what="building", cwd=source, environment=environment)
    if emulated("arm64"):
        yield source
        return
    mounted = (BINFMT / "register").exists()
    if not mounted:
        run(["mount", "-t", "binfmt_misc", "binfmt_misc", BINFMT], what="mounting binfmt_misc")
    interpreter = os.fsencode(str(shutil.which("qemu-aarch64-static")))
    (BINFMT / "register").write_bytes(b":qemu-aarch64:M::" + MAGIC + b":" + MASK + b":" + interpreter + b":F")
    yield source
    (BINFMT / "qemu-aarch64").write_text("-1")
    if not mounted:
        run(["umount", BINFMT], what="unmounting binfmt_misc")


def test_an_image_for_two_processors_runs_its_steps_on_both_and_is_pushed_as_one(
    build: Build, repo: Path, registry: Registry, storage: dict[str, str], arm64: Path, tmp_path: Path
) -> None:
    folder = repo / "images" / "both"
    folder.mkdir(parents=True)
    for name in ("amd64", "arm64"):
        shutil.copy(arm64 / f"program-{name}", folder)
    dockerfile = 'FROM scratch\nARG TARGETARCH\nCOPY program-$TARGETARCH /program\nRUN ["/program"]\n'
    platforms = "--platforms=linux/amd64,linux/arm64"
    layout = build({"both": dockerfile}, platforms) / "both"
    found = manifests(layout)
    assert {name: said for name, (said, _) in found.items()} == {"amd64": "amd64", "arm64": "arm64"}

    options = ["--environment=dev", f"--registry={registry.address}", platforms, f"--platform={Path.cwd()}"]
    output = tmp_path / "images.json"
    pushing = [*options, f"--built={layout.parent}", f"--output={output}"]
    assert "built: " in jobyard(repo, "images", *pushing, environment=storage)
    (url,) = json.loads(output.read_text()).values()
    raw = run(["skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{url}"], what="looking")
    assert f"sha256:{hashlib.sha256(raw.encode()).hexdigest()}" == url.partition("@")[2]
    there = {one["platform"]["architecture"]: one["digest"] for one in json.loads(raw)["manifests"]}
    assert there == {name: digest for name, (_, digest) in found.items()}
    missing = tmp_path / "missing.json"
    jobyard(repo, "images", *options, f"--missing={missing}", environment=storage)
    assert json.loads(missing.read_text()) == {}


def manifests(layout: Path) -> dict[str, tuple[str, str]]:
    """What the program wrote in each platform's image, and the image's digest."""

    def blob(digest: str) -> Path:
        return layout / "blobs" / "sha256" / digest.removeprefix("sha256:")

    (listed,) = json.loads((layout / "index.json").read_text())["manifests"]
    found = {}
    for one in json.loads(blob(listed["digest"]).read_text())["manifests"]:
        layers = json.loads(blob(one["digest"]).read_text())["layers"]
        with gzip.open(blob(layers[-1]["digest"])) as unpacked, tarfile.open(fileobj=unpacked) as layer:
            file = layer.extractfile("got")
            assert file is not None
            found[one["platform"]["architecture"]] = (file.read().decode(), one["digest"])
    return found
