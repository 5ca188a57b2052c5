"""A plan as a comment: nothing that a team wrote gets out of its code, and it fits."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jobyard_cli.plan.markdown import LIMIT, markdown
from jobyard_cli.plan.model import Caution, JobChange, ObjectChange, Plan, Setting, TaskChange, Timing
from markdown_it import MarkdownIt
from markdown_it.token import Token

PARSER = MarkdownIt("commonmark", {"html": True}).enable("table")
HOSTILE = (
    "```",
    "`x` @everybody",
    "</details><script>alert(1)</script>",
    "| a | b |",
    "\n/close\n",
    "![x](https://example.com/track.png) [x](javascript:alert(1)) #1 !2 ~bug $3 &amp; :tada:",
    "````\n@all",
    "\u202eevil\x1b[31m",
    "<!-- ",
    "\\`@all\\`",
    "",
)


def plan_with(text: str) -> Plan:
    """A plan with a text of a person's wherever one can be."""
    setting = Setting(text, text, text)
    task = TaskChange(text, "changed", [setting], [f"+ {text}"])
    timing = Timing(text, ["Mon"], None)
    some = text or "some"
    job = JobChange(text, "renamed", some, "what follows", [setting], [task], timing, some)
    return Plan(
        team=text,
        base=text,
        jobs=[job],
        objects=[ObjectChange(text, "changed", [text], [f"- {text}"])],
        warnings=[Caution(text, f"job '{text}' is {text}")],
        notes=[f"it is {text}"],
    )


def inline(tokens: list[Token]) -> list[Token]:
    return [child for token in tokens for child in token.children or []]


def markup(text: str) -> list[str]:
    """What the comment is made of, as far as it is not text or code."""
    tokens = PARSER.parse(markdown(plan_with(text)))
    kinds = [token.type for token in [*tokens, *inline(tokens)]]
    return [kind for kind in kinds if kind not in ("text", "code_inline", "text_special", "softbreak")]


def html(text: str) -> list[str]:
    """The names of its HTML elements."""
    tokens = PARSER.parse(markdown(plan_with(text)))
    raw = [token.content for token in [*tokens, *inline(tokens)] if token.type.startswith("html")]
    return re.findall(r"<(/?[a-zA-Z!]+)", "".join(raw))


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_changes_what_a_comment_is_made_of(text: str) -> None:
    assert markup(text) == markup("plain")
    assert html(text) == html("plain")


@settings(deadline=None, max_examples=100)
@given(st.text(alphabet="`@<>|\\\n'*_[]()#!~$&;:/- ab", max_size=12))
def test_no_text_at_all_changes_what_a_comment_is_made_of(text: str) -> None:
    assert markup(text) == markup("plain")
    assert html(text) == html("plain")


@pytest.mark.parametrize("text", ["@all", "'@all' @all", "\\@all"])
def test_nobody_is_mentioned_outside_of_code(text: str) -> None:
    tokens = PARSER.parse(markdown(plan_with(text)))
    seen = [token.content for token in inline(tokens) if token.type in ("text", "text_special")]
    assert not [one for one in seen if "@all" in "".join(seen)]
    assert "@\u200ball" in "".join(seen)


def test_a_plan_with_nothing_in_it_says_so() -> None:
    assert markdown(Plan("risk", "main")) == "### Plan for team `risk`\n\n**nothing changes** compared with `main`\n"


def big(number: int) -> Plan:
    task = TaskChange("score", "changed", pod=["+ x" * 300])
    return Plan("risk", "main", jobs=[JobChange(f"job{one}", "changed", tasks=[task]) for one in range(number)])


def test_a_plan_that_is_too_long_keeps_a_line_for_each_job_and_says_that_there_is_more() -> None:
    told = markdown(big(100))
    assert len(told) <= LIMIT
    assert told.count("<details>") == told.count("</details>") > 10
    assert all(f"<code>job{one}</code> changed" in told for one in range(100))
    assert told.endswith("_The rest is too long for a comment: `jobyard plan` shows all of it._\n")


@pytest.mark.parametrize("limit", range(300, 3000, 97))
def test_a_plan_never_is_longer_than_the_limit(limit: int) -> None:
    told = markdown(big(40), limit)
    assert len(told) <= limit
    assert told.count("<details>") == told.count("</details>")
