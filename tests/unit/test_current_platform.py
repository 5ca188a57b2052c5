"""The platform's files as they are now: from a real git server's repository, with a cache that says its age."""

from __future__ import annotations

import json
import os
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from jobyard_cli.platform import current, remote
from jobyard_cli.platform.checkout import MissingPlatformError, origin_of
from jobyard_cli.platform.current import age, current_platform, refresh
from jobyard_cli.system.git import GitError

from tests.support.git import commit_all, git

FILE = "values/teams/risk.yaml"


@pytest.fixture(autouse=True)
def _caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in (current.BRANCH, current.MAX_AGE):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server(tmp_path: Path) -> Path:
    """The platform's repository."""
    folder = tmp_path / "server"
    write(folder, "first")
    return folder


def write(server: Path, text: str) -> str:
    file = server / FILE
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return commit_all(server)


@pytest.fixture
def team(tmp_path: Path, server: Path) -> Path:
    """A team's repository that was made from the platform's first commit."""
    folder = tmp_path / "risk-jobs"
    folder.mkdir()
    made_from(folder, str(server), git(server, "rev-parse", "HEAD"))
    return folder


def made_from(team: Path, address: str, commit: str) -> None:
    (team / ".cruft.json").write_text(json.dumps({"template": address, "commit": commit}))


def text_of(tree: Path) -> str:
    return (tree / FILE).read_text()


def note(team: Path, **changes: object) -> None:
    """Change what the cache knows of the last fetch."""
    file = origin_of(team).folder / "current.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def test_it_is_the_branch_as_it_is_now_and_not_the_commit_that_the_team_was_made_from(server: Path, team: Path) -> None:
    commit = write(server, "second")
    found = current_platform(team)
    assert text_of(found.tree) == "second"
    assert found.state == f"commit {commit[:12]} of the platform's branch main, fetched just now"


def test_within_five_minutes_the_server_is_not_asked_again_and_after_them_it_is(server: Path, team: Path) -> None:
    first = current_platform(team)
    write(server, "second")
    note(team, fetched=time.time() - 240)
    assert current_platform(team).tree == first.tree
    assert current_platform(team).words.endswith("fetched 4 minutes ago")
    note(team, fetched=time.time() - 301)
    assert text_of(current_platform(team).tree) == "second"
    assert text_of(first.tree) == "first"  # somebody may be reading it


def test_a_refresh_asks_whatever_the_age(server: Path, team: Path) -> None:
    current_platform(team)
    write(server, "second")
    assert text_of(refresh(team).tree) == "second"


def test_without_the_server_what_was_fetched_last_is_taken_and_its_age_and_the_reason_are_said(
    server: Path, team: Path
) -> None:
    current_platform(team)
    note(team, fetched=time.time() - 3 * 86400)
    server.rename(server.with_name("gone"))
    found = current_platform(team)
    assert text_of(found.tree) == "first"
    assert "fetched 3 days ago (a newer one is not available: " in found.state
    assert "does not appear to be a git repository" in found.why or "does not exist" in found.why


def test_a_server_that_did_not_answer_is_left_alone_for_a_while(
    server: Path, team: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    current_platform(team)
    note(team, fetched=1.0)
    server.rename(server.with_name("gone"))
    why = current_platform(team).why
    monkeypatch.setattr(remote, "ask", lambda *_, **__: pytest.fail("asked again"))
    assert current_platform(team).why == why


def test_without_server_and_cache_the_commit_of_the_template_is_taken(server: Path, team: Path) -> None:
    kept = origin_of(team).folder / origin_of(team).commit
    shutil.copytree(server, kept)
    server.rename(server.with_name("gone"))
    found = current_platform(team)
    assert found.tree == kept
    assert found.words == f"commit {kept.name[:12]} of the platform, which this repository was made from"
    assert found.why


def test_without_anything_it_is_said_why(server: Path, team: Path) -> None:
    server.rename(server.with_name("gone"))
    with pytest.raises(MissingPlatformError, match="^the platform's repository is not available: .*server"):
        current_platform(team)


def test_another_branch_can_be_named(server: Path, team: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    current_platform(team)
    git(server, "switch", "--quiet", "--create", "next")
    write(server, "next one")
    git(server, "switch", "--quiet", "main")
    monkeypatch.setenv(current.BRANCH, "next")
    found = current_platform(team)
    assert text_of(found.tree) == "next one"
    assert "branch next, " in found.words
    monkeypatch.setenv(current.BRANCH, "nowhere")
    assert "has no branch nowhere" in current_platform(team).why


def test_a_work_tree_that_is_named_is_taken_and_nobody_is_asked(tmp_path: Path) -> None:
    assert current_platform(tmp_path / "no-team", tmp_path).tree == tmp_path


def test_the_lists_of_released_jobs_come_from_a_branch_of_their_own(server: Path, team: Path) -> None:
    git(server, "switch", "--quiet", "--orphan", "published-jobs")
    (server / "values" / "published-jobs").mkdir(parents=True)
    (server / "values" / "published-jobs" / "dev.json").write_text("{}")
    commit_all(server)
    git(server, "switch", "--quiet", "main")
    tree = current_platform(team).tree
    assert (tree / "values" / "published-jobs" / "dev.json").read_text() == "{}"
    assert text_of(tree) == "first"


def test_a_cache_that_was_moved_or_damaged_is_made_anew(server: Path, team: Path, tmp_path: Path) -> None:
    current_platform(team)
    shutil.rmtree(origin_of(team).folder / "current")
    assert text_of(current_platform(team).tree) == "first"
    (origin_of(team).folder / "current.json").write_text('{"commit": ')
    assert text_of(current_platform(team).tree) == "first"
    (tmp_path / "cache").rename(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").rename(tmp_path / "cache")
    assert text_of(current_platform(team).tree) == "first"


def test_what_was_current_long_ago_is_deleted(server: Path, team: Path) -> None:
    trees = [current_platform(team).tree]
    for text in ("second", "third"):
        write(server, text)
        trees.append(refresh(team).tree)
    for tree in trees:
        os.utime(tree, (1, 1))
    write(server, "fourth")
    refresh(team)
    assert [tree.is_dir() for tree in trees] == [False, False, True]


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        taken: list[socket.socket] = []

        def take() -> None:
            try:
                while True:
                    taken.append(listener.accept()[0])
            except OSError:
                return

        taker = threading.Thread(target=take)
        taker.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/platform.git"
        listener.shutdown(socket.SHUT_RDWR)  # closing alone would not wake the thread
        taker.join()
        for connection in taken:
            connection.close()


def test_a_server_that_never_answers_is_given_up_within_the_deadline(tmp_path: Path, silent: str) -> None:
    begin = time.monotonic()
    with pytest.raises(GitError, match="git ls-remote: no answer within 0.5 s"):
        remote.ask(tmp_path, "ls-remote", silent, deadline=0.5)
    assert time.monotonic() - begin < 60


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "just now"),
        (59, "just now"),
        (60, "1 minute ago"),
        (7199, "1 hour ago"),
        (7200, "2 hours ago"),
        (5 * 86400, "5 days ago"),
    ],
)
def test_an_age_in_words(seconds: float, words: str) -> None:
    assert age(seconds) == words


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, ".cruft.json is missing; `cookiecutter`, `cruft create` and `jobyard team new` write it"),
        ("{", ".cruft.json can't be read"),
        ('{"template": "", "commit": ""}', 'write the address of the platform\'s repository under "template"'),
        ('{"template": "x", "commit": "main"}', "'main' is not the full id of a commit; write the full id"),
    ],
)
def test_what_a_repository_lacks_is_said_with_what_to_write(team: Path, content: str | None, message: str) -> None:
    (team / ".cruft.json").unlink()
    if content is not None:
        (team / ".cruft.json").write_text(content)
    with pytest.raises(MissingPlatformError) as caught:
        origin_of(team)
    assert message in str(caught.value)
    assert "--platform" in str(caught.value)


def test_the_answer_platform_url_goes_before_what_cruft_was_given(team: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = {"template": "/srv/jobyard", "commit": "a" * 40}
    answered = {"context": {"cookiecutter": {"platform_url": "https://git.example.com/p.git"}}}
    (team / ".cruft.json").write_text(json.dumps({**state, **answered}))
    assert origin_of(team).address == "https://git.example.com/p.git"
    monkeypatch.setenv("JOBYARD_PLATFORM_URL", "https://mirror.example.com/p.git")
    assert origin_of(team).address == "https://mirror.example.com/p.git"
