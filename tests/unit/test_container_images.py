"""Which images are built, for what, and what is done with them; buildah and skopeo are stand-ins that write it down."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import boto3
import pytest
from jobyard_cli.cli.steps import Steps
from jobyard_cli.images import ecr, platforms
from jobyard_cli.images.addresses import MissingRegistryError, registry_of
from jobyard_cli.images.build import PASSED
from jobyard_cli.images.errors import (
    EmulationError,
    ImageFileError,
    ImageLayoutError,
    ImageNameError,
    ImageNotBuiltError,
    InvalidPlatformError,
    MissingProgramError,
    OtherCommitError,
    RegistryError,
    UncommittedError,
    UnknownProcessorsError,
    UnsafeMountError,
)
from jobyard_cli.images.layouts import digest_of
from jobyard_cli.images.publish import Origin, build_all, find_missing, publish
from jobyard_cli.images.registry import Registry
from jobyard_cli.images.sources import export, sources
from jobyard_cli.platform.environments import Environment
from jobyard_cli.system.git import GitError
from jobyard_cli.team.repo import TeamRepo
from moto import mock_aws
from rich.console import Console

from tests.support.git import git

AMD64, BOTH = ["linux/amd64"], ["linux/amd64", "linux/arm64"]
REGISTRY, OTHER = "127.0.0.1:5000", "127.0.0.1:5000/other"
MANIFEST = '{"manifests": []}'
DIGEST = f"sha256:{hashlib.sha256(MANIFEST.encode()).hexdigest()}"
SKOPEO = """\
#!/bin/sh
echo "skopeo $*" >>"$LOG"
for address in "$@"; do :; done
if [ "$1" = copy ] && [ -n "$REFUSES" ]; then echo "$address" >>"$THERE"; echo "$REFUSES" >&2; exit 1; fi
[ "$1" = inspect ] || exit 0
if grep -qxF "$address" "$THERE" 2>/dev/null; then printf '%s' '{"manifests": []}'; exit 0; fi
echo "$SAYS" >&2
exit 1
"""
BUILDAH = """\
#!/bin/sh
LOG=@LOG@
echo "buildah $*" >>"$LOG"
case "$1 $2" in
"--version ") echo "buildah version @VERSION@ (image-spec 1.0.2)" ;;
"manifest push")
    for address in "$@"; do :; done
    layout=${address#oci:}
    tag=${layout##*:}
    mkdir -p "${layout%:*}"
    cp -r @LAYOUT@/. "${layout%:*}"
    sed "s/@TAG@/$tag/" @LAYOUT@/index.json >"${layout%:*}/index.json" ;;
build*)
    env | cut -d= -f1 | sort >"$LOG.environment"
    for context in "$@"; do :; done; (cd "$context" && find . -type f | sort) >>"$LOG" ;;
esac
"""


def make_layout(folder: Path, tag: str) -> str:
    """An OCI layout of an image without a layer; its digest."""
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def blob(media: str, content: object) -> dict[str, object]:
        data = json.dumps(content).encode()
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return {"mediaType": media, "digest": f"sha256:{digest}", "size": len(data)}

    config = blob("application/vnd.oci.image.config.v1+json", {})
    manifest = blob("application/vnd.oci.image.manifest.v1+json", {"config": config, "layers": []})
    listed = blob("application/vnd.oci.image.index.v1+json", {"manifests": [manifest]})
    tagged = {**listed, "annotations": {"org.opencontainers.image.ref.name": tag}}
    (folder / "index.json").write_text(json.dumps({"manifests": [tagged]}))
    return str(listed["digest"])


with tempfile.TemporaryDirectory() as scratch:
    PUSHED = make_layout(Path(scratch) / "layout", "x")


@pytest.fixture
def repo(team_repo: Path) -> Path:
    """Team risk's, committed; its images are feature-generation and inference."""
    git(team_repo, "init", "--quiet")
    (team_repo / ".gitignore").write_text("*.log\n")
    git(team_repo, "add", "--all")
    git(team_repo, "commit", "--quiet", "--message=All")
    return team_repo


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What buildah and skopeo were asked; the registry has the addresses in the file `there`."""
    programs = tmp_path / "programs"
    programs.mkdir()
    make_layout(tmp_path / "layout", "@TAG@")
    places = {"@LOG@": tmp_path / "log", "@LAYOUT@": tmp_path / "layout", "@VERSION@": "1.28.2"}
    buildah = BUILDAH
    for word, value in places.items():
        buildah = buildah.replace(word, str(value))
    for name, text in {"skopeo": SKOPEO, "buildah": buildah}.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    for name, value in {"LOG": "log", "THERE": "there"}.items():
        monkeypatch.setenv(name, str(tmp_path / value))
    monkeypatch.setenv("SAYS", "reading manifest: manifest unknown")
    monkeypatch.setenv("REFUSES", "")
    return tmp_path / "log"


@pytest.fixture
def steps() -> Iterator[Steps]:
    with Steps(Console(quiet=True)) as quiet:
        yield quiet


def put(log: Path, *addresses: str) -> None:
    """Have the registry have these."""
    log.with_name("there").write_text("".join(f"docker://{address}\n" for address in addresses))


def asked(log: Path, words: str) -> list[str]:
    return [line for line in log.read_text().splitlines() if line.startswith(words)]


def test_an_images_tag_follows_its_folder_and_nothing_else(repo: Path) -> None:
    before = {source.name: source for source in sources(repo)}
    assert set(before) == {"feature-generation", "inference"}
    (repo / "README.md").write_text("new\n")
    (repo / "images" / "inference" / "code.py").write_text("print()\n")
    git(repo, "add", "--all")
    git(repo, "commit", "--quiet", "--message=Code")
    after = {source.name: source for source in sources(repo)}
    assert after["feature-generation"] == before["feature-generation"]
    assert after["inference"].tree != before["inference"].tree
    tree = after["inference"].tree[:20]
    assert after["inference"].tag(BOTH) == f"{tree}-amd64-arm64"
    assert after["inference"].tag(["linux/arm/v7"]) == f"{tree}-armv7"


def test_a_folder_that_is_in_no_commit_is_refused_with_its_changes(repo: Path) -> None:
    (repo / "images" / "inference" / "Dockerfile").write_text("FROM debian\n")
    (repo / "images" / "new").mkdir()
    (repo / "images" / "new" / "Dockerfile").write_text("FROM debian\n")
    with pytest.raises(UncommittedError) as caught:
        sources(repo)
    assert str(caught.value).splitlines()[1:] == [" M images/inference/Dockerfile", "?? images/new/Dockerfile"]


def test_what_git_ignores_does_not_get_into_an_image(repo: Path, tmp_path: Path) -> None:
    (repo / "images" / "inference" / "secret.log").write_text("secret\n")
    (source,) = [one for one in sources(repo) if one.name == "inference"]
    context = export(repo, source, tmp_path)
    assert sorted(path.name for path in context.iterdir()) == ["Dockerfile"]


def test_a_folder_without_a_commit_is_told(team_repo: Path) -> None:
    with pytest.raises(GitError, match="git ls-tree"):
        sources(team_repo)


def test_platforms_are_those_of_the_node_groups_that_the_team_may_use(repo: Path) -> None:
    assert platforms.of_team(TeamRepo.load(repo)) == AMD64
    values = repo / "values" / "team.yaml"
    values.write_text(values.read_text().replace("[default, high-cpu, high-memory]", "[default, graviton]"))
    assert platforms.of_team(TeamRepo.load(repo)) == BOTH
    values.write_text(values.read_text().replace("[default, graviton]", "[gone]"))
    with pytest.raises(UnknownProcessorsError, match="--platforms"):
        platforms.of_team(TeamRepo.load(repo))


def test_platforms_may_be_given(repo: Path) -> None:
    assert platforms.parse("linux/arm64, linux/amd64,") == BOTH
    for wrong in ("amd64", "linux", "", "linux/amd64,windows/amd64"):
        with pytest.raises(InvalidPlatformError, match="such as linux/amd64,linux/arm64; got '"):
            platforms.parse(wrong)


def test_a_processor_is_emulated_where_the_kernel_knows_how(tmp_path: Path) -> None:
    assert not platforms.emulated("arm64", tmp_path)
    (tmp_path / "qemu-aarch64").write_text("enabled\ninterpreter /usr/libexec/qemu-binfmt/aarch64-binfmt-P\n")
    assert platforms.emulated("arm64", tmp_path)
    (tmp_path / "qemu-aarch64").write_text("disabled\n")
    assert not platforms.emulated("arm64", tmp_path)


def test_without_an_emulator_only_what_runs_nothing_is_built(
    repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platforms, "emulated", lambda _architecture: False)
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    platforms.check(repo, sources(repo), BOTH)
    (repo / "images" / "inference" / "Dockerfile").write_text("FROM debian\nRUN true\n")
    git(repo, "commit", "--quiet", "--all", "--message=RUN")
    platforms.check(repo, sources(repo), AMD64)
    with pytest.raises(EmulationError) as caught:
        platforms.check(repo, sources(repo), BOTH)
    assert str(caught.value).startswith("inference: the Dockerfile has RUN steps, and this machine (amd64)")
    assert "--platforms linux/amd64" in str(caught.value)


def test_what_the_registry_has_is_not_built_again(repo: Path, log: Path, steps: Steps) -> None:
    features, inference = sources(repo)
    put(log, f"{REGISTRY}/risk/inference:{inference.tag(AMD64)}")
    published = publish(repo, "risk", REGISTRY, AMD64, steps)
    assert [(one.name, one.url, one.done) for one in published] == [
        ("feature-generation", f"{REGISTRY}/risk/feature-generation@{PUSHED}", "built"),
        ("inference", f"{REGISTRY}/risk/inference@{DIGEST}", "there already"),
    ]
    (build,) = asked(log, "buildah build")
    assert "--platform=linux/amd64" in build
    assert build.endswith("/feature-generation")
    assert "--cap-drop=CAP_SYS_CHROOT" in build
    (push,) = asked(log, "skopeo copy")
    assert "--preserve-digests --retry-times=5 --dest-tls-verify=false oci:" in push
    assert push.endswith(f"docker://{REGISTRY}/risk/feature-generation:{features.tag(AMD64)}")


def test_another_set_of_processors_is_another_image(repo: Path, log: Path, steps: Steps) -> None:
    put(log, *(f"{REGISTRY}/risk/{source.name}:{source.tag(AMD64)}" for source in sources(repo)))
    assert {one.done for one in publish(repo, "risk", REGISTRY, BOTH, steps)} == {"built"}
    assert all("--platform=linux/amd64,linux/arm64" in build for build in asked(log, "buildah build"))


def test_where_another_pipeline_pushed_the_same_meanwhile_its_image_is_taken(
    repo: Path, log: Path, steps: Steps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REFUSES", "the tag is immutable")
    assert {one.url.rpartition("@")[2] for one in publish(repo, "risk", REGISTRY, AMD64, steps)} == {DIGEST}


def test_images_are_copied_from_another_environment_unchanged(repo: Path, log: Path, steps: Steps) -> None:
    put(log, *(f"{OTHER}/risk/{source.name}:{source.tag(AMD64)}" for source in sources(repo)))
    published = publish(repo, "risk", REGISTRY, AMD64, steps, Origin("dev", OTHER))
    assert {(one.url.rpartition("@")[2], one.done) for one in published} == {(DIGEST, "copied")}
    assert asked(log, "buildah") == []
    copies = asked(log, "skopeo copy")
    assert len(copies) == 2
    for copy in copies:
        assert "--all --preserve-digests" in copy
        assert f"docker://{OTHER}/risk/" in copy


def test_an_image_that_the_other_environment_lacks_is_named_before_anything_is_copied(
    repo: Path, log: Path, steps: Steps
) -> None:
    features, inference = sources(repo)
    put(log, f"{OTHER}/risk/inference:{inference.tag(AMD64)}")
    with pytest.raises(ImageNotBuiltError) as caught:
        publish(repo, "risk", REGISTRY, AMD64, steps, Origin("dev", OTHER))
    assert str(caught.value).splitlines() == [
        f"{OTHER}/risk/feature-generation:{features.tag(AMD64)} does not exist",
        "build it first: `jobyard images --environment dev`, in this commit",
    ]
    assert asked(log, "skopeo copy") == []


def test_a_registry_that_refuses_is_not_one_that_lacks_the_image(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAYS", "pinging the registry\nunauthorized: authentication required")
    with pytest.raises(RegistryError, match="the registry 127.0.0.1:5000: unauthorized"):
        Registry(REGISTRY, "risk").digest("inference", "x")


# What skopeo 1.9.3 says.
FATAL = r'level=fatal msg="Error parsing image name \"docker://127.0.0.1:5000/risk/inference:x\": %s"'
READING = "reading manifest x in 127.0.0.1:5000/risk/inference: "
HELPER = "getting username and password: 1 error occurred:\\n\\t* error getting credentials - err: exec: "


@pytest.mark.parametrize(
    "said",
    [
        READING + "manifest unknown",
        READING + "manifest unknown: Requested image not found",
        READING + "name unknown: The repository with name 'x' does not exist in the registry with id '1'",
        READING + "StatusCode: 404, 404 page not found",
        READING + "unknown: artifact risk/inference:x not found",
    ],
)
def test_an_image_that_a_registry_lacks_has_no_digest(log: Path, monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    monkeypatch.setenv("SAYS", FATAL % said)
    assert Registry(REGISTRY, "risk").digest("inference", "x") is None


@pytest.mark.parametrize(
    "said",
    [
        HELPER + r"\"docker-credential-ecr-login\": executable file not found in $PATH, out: ``\n\n",
        READING + r"getting credentials - err: exec: \"docker-credential-x\": executable file not found in $PATH",
        "pinging container registry: dial tcp: lookup registry.example.com: host not found",
        READING + "denied: denied",
    ],
)
def test_what_keeps_skopeo_from_asking_is_not_taken_for_a_missing_image(
    log: Path, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    # The image would be built and pushed again each time, or overwrite the one that exists.
    monkeypatch.setenv("SAYS", FATAL % said)
    with pytest.raises(RegistryError, match=f"the registry {REGISTRY}: "):
        Registry(REGISTRY, "risk").digest("inference", "x")


def test_missing_programs_are_named(repo: Path, steps: Steps, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "git").symlink_to(str(shutil.which("git")))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingProgramError, match="must have skopeo .*apt-get install buildah skopeo"):
        publish(repo, "risk", REGISTRY, AMD64, steps)
    with pytest.raises(MissingProgramError, match="must have buildah .*apt-get install buildah skopeo"):
        build_all(repo, None, AMD64, tmp_path / "built", steps)


@pytest.mark.parametrize(
    ("values", "address"),
    [
        ({"registry": "registry.example.com/ml", "account": "1", "region": "r"}, "registry.example.com/ml"),
        ({"account": "444455556666", "region": "eu-central-1"}, "444455556666.dkr.ecr.eu-central-1.amazonaws.com"),
        ({"account": "444455556666", "region": "cn-north-1"}, "444455556666.dkr.ecr.cn-north-1.amazonaws.com.cn"),
    ],
)
def test_the_registry_is_the_environments_or_its_accounts(values: dict[str, str], address: str) -> None:
    assert registry_of(Environment("dev", values, {})) == address


def test_an_environment_without_a_registry_is_told() -> None:
    with pytest.raises(MissingRegistryError, match=r"values/environments/dev\.yaml must name a registry"):
        registry_of(Environment("dev", {"name": "dev"}, {}))


@pytest.mark.parametrize(
    ("address", "region"),
    [
        ("444455556666.dkr.ecr.eu-central-1.amazonaws.com", "eu-central-1"),
        ("444455556666.dkr.ecr.cn-north-1.amazonaws.com.cn/x", "cn-north-1"),
        ("127.0.0.1:5000", None),
        ("evil.example.com/444455556666.dkr.ecr.eu-central-1.amazonaws.com", None),
    ],
)
def test_amazons_registries_are_known_by_their_address(address: str, region: str | None) -> None:
    assert ecr.region_of(address) == region


def test_amazons_registry_gets_a_repository_whose_tags_never_change(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    with mock_aws():
        registry = Registry(ecr.host_of("123456789012", "eu-central-1"), "risk")
        registry.prepare("inference")
        registry.prepare("inference")
        client = boto3.client("ecr", region_name="eu-central-1")
        (made,) = client.describe_repositories()["repositories"]
        assert ecr.authorization(registry.address)
    assert made["repositoryName"] == "risk/inference"
    assert made["imageTagMutability"] == "IMMUTABLE"
    assert made["imageScanningConfiguration"] == {"scanOnPush": True}


def test_who_may_not_log_in_is_told_by_whom(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    with pytest.raises(RegistryError, match="444455556666.*: there are no AWS credentials: set AWS_ACCESS_KEY_ID"):
        ecr.authorization("444455556666.dkr.ecr.eu-central-1.amazonaws.com")


def test_the_command_writes_every_address(
    repo: Path, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from jobyard_cli.cli.images import images

    output = tmp_path / "images.json"
    root = Path(__file__).resolve().parents[2]
    images("dev", output, registry=REGISTRY, platform=root, repo=repo)
    assert json.loads(output.read_text()) == {
        name: f"{REGISTRY}/risk/{name}@{PUSHED}" for name in ("feature-generation", "inference")
    }
    assert f"built: {REGISTRY}/risk/inference@{PUSHED}" in capsys.readouterr().out


def test_one_job_lists_another_builds_without_a_login_and_a_third_pushes_what_it_built(
    repo: Path, log: Path, steps: Steps, tmp_path: Path
) -> None:
    features, inference = sources(repo)
    put(log, f"{REGISTRY}/risk/inference:{inference.tag(AMD64)}")
    missing = find_missing(repo, "risk", REGISTRY, AMD64, steps)
    assert missing == {"feature-generation": features.tag(AMD64)}
    assert build_all(repo, missing, AMD64, tmp_path / "built", steps) == ["feature-generation"]
    assert len(asked(log, "buildah build")) == 1
    assert asked(log, "skopeo copy") == []
    published = publish(repo, "risk", REGISTRY, AMD64, steps, built=tmp_path / "built")
    assert [(one.name, one.done) for one in published] == [
        ("feature-generation", "built"),
        ("inference", "there already"),
    ]
    (push,) = asked(log, "skopeo copy")
    assert f"oci:{tmp_path}/built/feature-generation:{features.tag(AMD64)}" in push
    assert len(asked(log, "buildah build")) == 1


def test_the_builder_gets_none_of_the_pipelines_variables(
    repo: Path, log: Path, steps: Steps, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("JOBYARD_ID_TOKEN", "AWS_WEB_IDENTITY_TOKEN_FILE", "CI_JOB_TOKEN", "GITHUB_TOKEN"):
        monkeypatch.setenv(name, "secret")
    monkeypatch.setenv("BUILDAH_ISOLATION", "chroot")
    build_all(repo, None, AMD64, tmp_path / "built", steps)
    seen = set(log.with_suffix(".environment").read_text().split())
    assert {"PATH", "BUILDAH_ISOLATION"} <= seen
    # The shell of the stand-in sets the others.
    assert seen <= {*PASSED, "PWD", "OLDPWD", "SHLVL", "_", "LOG"}


def test_images_of_another_commit_are_not_built(repo: Path, log: Path, steps: Steps, tmp_path: Path) -> None:
    with pytest.raises(OtherCommitError, match="this commit has no inference:older, else:x;"):
        build_all(repo, {"inference": "older", "else": "x"}, AMD64, tmp_path / "built", steps)


def test_what_the_other_job_did_not_build_is_named(repo: Path, log: Path, steps: Steps, tmp_path: Path) -> None:
    with pytest.raises(
        ImageLayoutError, match=r"built/feature-generation: it has no index.json; `jobyard build-images`"
    ):
        publish(repo, "risk", REGISTRY, AMD64, steps, built=tmp_path / "built")
    assert asked(log, "skopeo copy") == []


Change = Callable[[Path], object]
HOSTILE: dict[str, tuple[Change, str]] = {
    "a link in place of a blob": (lambda layout: relink(blobs(layout)[0]), "must be a regular file"),
    "a link in place of the index": (lambda layout: relink(layout / "index.json"), "index.json must be a regular file"),
    "a blob with other content": (lambda layout: manifest(layout).write_text("{}" + " " * 500), "differs in size"),
    "no blob": (lambda layout: manifest(layout).unlink(), "is missing"),
    "an address": (lambda layout: rewrite(layout, "urls", ["http://169.254.169.254/"]), "it refers to a URL"),
    "another digest": (lambda layout: rewrite(layout, "digest", "sha256:../../etc/passwd"), "not of SHA-256"),
    "another tag": (lambda layout: rewrite(layout, "annotations", {}), "no image with the tag x"),
    "no object": (lambda layout: (layout / "index.json").write_text("[]"), "no image with the tag x"),
    "no JSON": (lambda layout: (layout / "index.json").write_text("{"), "no image with the tag x"),
    "a giant": (lambda layout: (layout / "index.json").write_text(" " * (5 << 20)), "more than 4 MiB"),
}


def blobs(layout: Path) -> list[Path]:
    return sorted((layout / "blobs" / "sha256").iterdir())


def manifest(layout: Path) -> Path:
    index = json.loads((layout / "index.json").read_text())
    digest: str = index["manifests"][0]["digest"]
    return layout / "blobs" / "sha256" / digest.removeprefix("sha256:")


def relink(file: Path) -> None:
    file.unlink()
    file.symlink_to("/etc/passwd")


def rewrite(layout: Path, key: str, value: object) -> None:
    index = json.loads((layout / "index.json").read_text())
    index["manifests"][0][key] = value
    (layout / "index.json").write_text(json.dumps(index))


@pytest.mark.parametrize("name", HOSTILE)
def test_a_layout_that_is_not_what_a_build_leaves_is_refused_before_skopeo_reads_it(tmp_path: Path, name: str) -> None:
    layout = tmp_path / "layout"
    assert make_layout(layout, "x") == digest_of(layout, "x")
    change, problem = HOSTILE[name]
    change(layout)
    with pytest.raises(ImageLayoutError, match=problem):
        digest_of(layout, "x")


@pytest.mark.parametrize(
    "step",
    [
        "RUN --mount=type=bind,from=other,source=/link,target=/x true",
        "RUN --network=none --mount=type=cache,target=/x true",
        "RUN \\\n --mount=type=cache,id=../../x,target=/x true",
        "RUN --mo\\\n# a remark\nunt=type=cache,target=/x true",
        "ONBUILD RUN --mount=type=cache,target=/x true",
    ],
)
def test_a_mount_is_refused_where_buildah_is_old(
    repo: Path, log: Path, steps: Steps, tmp_path: Path, step: str
) -> None:
    (repo / "images" / "inference" / "Dockerfile").write_text(f"FROM debian\n{step}\n")
    git(repo, "commit", "--quiet", "--all", "--message=Mount")
    with pytest.raises(UnsafeMountError, match=r"inference: .*buildah 1\.28\.2 .*buildah 1\.38\.1 or newer"):
        build_all(repo, None, AMD64, tmp_path / "built", steps)
    program = log.with_name("programs") / "buildah"
    program.write_text(program.read_text().replace("1.28.2", "1.39.3"))
    assert build_all(repo, None, AMD64, tmp_path / "built", steps) == ["feature-generation", "inference"]


@pytest.mark.parametrize("name", ["--help", "-v", "Upper", "a b", "a..b", "é", "a" * 101, "x\n"])
def test_a_folder_whose_name_can_be_no_images_is_refused(repo: Path, name: str) -> None:
    (repo / "images" / name).mkdir()
    (repo / "images" / name / "Dockerfile").write_text("FROM debian\n")
    git(repo, "add", "--all")
    git(repo, "commit", "--quiet", "--message=Name")
    with pytest.raises(ImageNameError, match="the folder's name is the image's: lower-case letters"):
        sources(repo)


def commit_link(repo: Path, place: str, target: str) -> None:
    (repo / place).unlink(missing_ok=True)
    (repo / place).symlink_to(target)
    git(repo, "add", "--all")
    git(repo, "commit", "--quiet", "--message=Link")


@pytest.mark.parametrize("target", ["/etc/passwd", "../../README.md", "../../../../../../etc/passwd"])
def test_a_link_that_leaves_an_images_folder_is_refused(repo: Path, tmp_path: Path, target: str) -> None:
    commit_link(repo, "images/inference/data", target)
    (source,) = [one for one in sources(repo) if one.name == "inference"]
    with pytest.raises(ImageFileError, match="images/inference/data: leaves the image's folder"):
        export(repo, source, tmp_path)


def test_a_link_within_an_images_folder_is_kept(repo: Path, tmp_path: Path) -> None:
    commit_link(repo, "images/inference/data", "Dockerfile")
    (source,) = [one for one in sources(repo) if one.name == "inference"]
    assert (export(repo, source, tmp_path) / "data").read_text() == "FROM scratch\n"


def test_a_dockerfile_that_is_a_link_is_refused_and_a_folder_that_is_one_is_no_image(repo: Path) -> None:
    commit_link(repo, "images/other", "/etc")
    assert [source.name for source in sources(repo)] == ["feature-generation", "inference"]
    commit_link(repo, "images/inference/Dockerfile", "/etc/shadow")
    with pytest.raises(ImageFileError, match="images/inference/Dockerfile: is a link"):
        sources(repo)
