"""What `jobyard sync` waits for, on a real Airflow 3 and a real Airflow 2, with their own REST APIs."""

from __future__ import annotations

from concurrent.futures import Future

import pytest

from tests.sync.story import VERSIONS


@pytest.mark.parametrize("version", VERSIONS)
def test_a_team_lives_with_its_releases(stories: dict[str, Future[None]], version: str) -> None:
    stories[version].result()
