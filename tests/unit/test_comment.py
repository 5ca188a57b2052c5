"""The one comment of a merge request, on small servers that behave as GitLab's and GitHub's API do."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest
from jobyard_cli.cli.comment import comment
from jobyard_cli.merge_request.comment import (
    LONGEST,
    MARK,
    CommentError,
    Done,
    MissingTokenError,
    NoMergeRequestError,
    thread,
)

LISTS = {"gitlab": "/projects/7/merge_requests/3/notes", "github": "/repos/risk/risk-jobs/issues/3/comments"}
ONES = {"gitlab": LISTS["gitlab"], "github": "/repos/risk/risk-jobs/issues/comments"}
VERBS = {"gitlab": "PUT", "github": "PATCH"}
WHO = {"gitlab": ("PRIVATE-TOKEN", "secret"), "github": ("Authorization", "Bearer secret")}


@dataclass
class Service:
    """One merge request's comments, by id, and what changed them."""

    name: str
    url: str = ""
    comments: dict[int, str] = field(default_factory=dict)
    changes: list[str] = field(default_factory=list)
    busy: list[int] = field(default_factory=list)
    """What the next answers are, though each request is carried out."""

    def answer(self, verb: str, path: str, body: str) -> tuple[int, Any]:
        parts = urlsplit(path)
        if verb == "GET" and parts.path == LISTS[self.name]:
            query = parse_qs(parts.query)
            size, page = int(query["per_page"][0]), int(query["page"][0])
            every = [{"id": number, "body": text} for number, text in self.comments.items()]
            return 200, every[size * (page - 1) : size * page]
        self.changes.append(verb)
        if verb == "POST" and parts.path == LISTS[self.name]:
            self.comments[len(self.comments) + 1] = body
            return 201, {}
        found = re.fullmatch(re.escape(ONES[self.name]) + r"/(\d+)", parts.path)
        if verb == VERBS[self.name] and found:
            self.comments[int(found[1])] = body
            return 200, {}
        return 404, {"message": "404 Not Found"}


class Handler(BaseHTTPRequestHandler):
    """Accepts every request that has the token."""

    service: ClassVar[Service]

    def handle_any(self) -> None:
        name, value = WHO[self.service.name]
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length) or b"{}").get("body", "")
        known = self.headers.get(name) == value
        status, content = self.service.answer(self.command, self.path, body) if known else (401, {"message": "no"})
        self.send_response(self.service.busy.pop(0) if self.service.busy else status)
        self.end_headers()
        self.wfile.write(json.dumps(content).encode())

    do_GET = do_POST = do_PUT = do_PATCH = handle_any

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture(params=LISTS)
def service(request: pytest.FixtureRequest) -> Iterator[Service]:
    made = Service(request.param)
    handler = type("Of", (Handler,), {"service": made})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        made.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield made
        server.shutdown()


@pytest.fixture
def variables(service: Service, tmp_path: Path) -> dict[str, str]:
    """What a pipeline of this service's has."""
    if service.name == "gitlab":
        request = {"CI_API_V4_URL": service.url, "CI_PROJECT_ID": "7", "CI_MERGE_REQUEST_IID": "3"}
        return {**request, "JOBYARD_COMMENT_TOKEN": "secret"}
    event = tmp_path / "event.json"
    event.write_text(json.dumps({"pull_request": {"number": 3}}))
    place = {"GITHUB_API_URL": service.url, "GITHUB_REPOSITORY": "risk/risk-jobs", "GITHUB_EVENT_PATH": str(event)}
    return {"GITHUB_ACTIONS": "true", **place, "GITHUB_TOKEN": "secret"}


def test_the_comment_is_created_once_and_then_updated_in_place(service: Service, variables: dict[str, str]) -> None:
    service.comments = {1: "Looks good", 2: f"I quote {MARK}"}
    assert thread(variables).put("# Plan\none\n") == Done.created
    assert thread(variables).put("# Plan\ntwo\n") == Done.updated
    assert thread(variables).put("# Plan\ntwo\n") == Done.unchanged
    assert service.comments == {1: "Looks good", 2: f"I quote {MARK}", 3: f"{MARK}\n# Plan\ntwo"}
    assert service.changes == ["POST", VERBS[service.name]]


def test_the_comment_is_found_behind_a_hundred_others(service: Service, variables: dict[str, str]) -> None:
    service.comments = {**dict.fromkeys(range(1, 202), "words"), 202: f"{MARK}\nold"}
    assert thread(variables).put("new") == Done.updated
    assert service.comments[202] == f"{MARK}\nnew"


def test_a_plan_that_is_too_long_is_cut_and_says_so(service: Service, variables: dict[str, str]) -> None:
    thread(variables).put("x" * 70_000)
    (text,) = service.comments.values()
    assert LONGEST < len(text) < LONGEST + 200
    assert text.endswith("the pipeline's log has all of it.")


def test_a_service_that_refuses_is_told_with_its_reason(service: Service, variables: dict[str, str]) -> None:
    wrong = {name: "other" if value == "secret" else value for name, value in variables.items()}
    with pytest.raises(CommentError, match="401"):
        thread(wrong).put("text")


def test_a_service_that_is_not_there_is_told(variables: dict[str, str], service: Service) -> None:
    gone = {name: value.replace(service.url, "http://127.0.0.1:1") for name, value in variables.items()}
    with pytest.raises(CommentError, match="Connection refused"):
        thread(gone).put("text", patience=1)


@pytest.mark.parametrize("status", [429, 500, 502, 503])
@pytest.mark.parametrize("before", [[], [200]])
def test_a_busy_service_is_asked_again_and_gets_one_comment(
    service: Service, variables: dict[str, str], before: list[int], status: int
) -> None:
    service.busy = [*before, status]
    thread(variables).put("text")
    assert list(service.comments.values()) == [f"{MARK}\ntext"]


def test_without_a_token_the_plan_is_printed_with_how_to_get_a_comment(
    service: Service,
    variables: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    token = {"gitlab": "JOBYARD_COMMENT_TOKEN", "github": "GITHUB_TOKEN"}[service.name]
    for name in ("CI_MERGE_REQUEST_IID", "GITHUB_ACTIONS", "JOBYARD_COMMENT_TOKEN", "GITHUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {**variables, token: ""}.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "plan.md").write_text("# Plan")
    comment(tmp_path / "plan.md")
    said = capsys.readouterr()
    assert said.out == "# Plan\n"
    assert token in said.err
    assert service.changes == []


def test_the_command_says_what_became_of_the_comment(
    service: Service,
    variables: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("CI_MERGE_REQUEST_IID", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "plan.md").write_text("# Plan")
    comment(tmp_path / "plan.md")
    assert capsys.readouterr().out == "comment on the merge request: created\n"


@pytest.mark.parametrize(
    "variables",
    [{}, {"CI_PROJECT_ID": "7"}, {"GITHUB_ACTIONS": "true"}, {"GITHUB_ACTIONS": "true", "GITHUB_EVENT_PATH": "/none"}],
)
def test_where_there_is_no_merge_request_nothing_is_commented_on(variables: dict[str, str]) -> None:
    with pytest.raises(NoMergeRequestError):
        thread(variables)


def test_a_token_that_is_empty_is_none() -> None:
    with pytest.raises(MissingTokenError, match="project access token"):
        thread({"CI_MERGE_REQUEST_IID": "3", "JOBYARD_COMMENT_TOKEN": ""})
