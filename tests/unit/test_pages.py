"""Running a page's blocks: the tests of pages depend on it to find differences."""

from __future__ import annotations

import os
from pathlib import Path

from tests.support.pages import blocks, differences, run

PAGE = """\
# A page

```text title="made/a file.txt"
$HOME stays `as it is`
```

```sh
greeting=hello
cd made
cat 'a file.txt'
```

```text
$HOME stays `as it is`
```

```sh exit=3
echo "it ends"; exit 3
```

```sh
echo "$greeting from $(basename "$PWD")"; echo "made in 2.5 s"; echo left out; echo end
```

```text
hello from made
made in 0.1 s
…
end
```

```
cat nothing
```
"""


def outcome(page: str, folder: Path) -> tuple[int, list[str]]:
    found = list(blocks(page))
    ran = run(found, folder, os.environ)
    return ran.code, differences(found, ran)


def test_blocks_run_in_one_shell_with_the_files_of_the_page(tmp_path: Path) -> None:
    assert outcome(PAGE, tmp_path) == (0, [])
    assert (tmp_path / "made" / "a file.txt").read_text() == "$HOME stays `as it is`\n"


def test_other_output_is_a_difference(tmp_path: Path) -> None:
    code, (found,) = outcome(PAGE.replace("…\nend", "…\nanother end"), tmp_path)
    assert code == 0
    assert found.startswith("line 25: 'another end' was not printed, or not in this order; the commands printed\n")


def test_a_line_too_many_is_a_difference(tmp_path: Path) -> None:
    (found,) = outcome(PAGE.replace("cat 'a file.txt'", "cat 'a file.txt'; echo more"), tmp_path)[1]
    assert found.startswith("line 13: the page shows [")


def test_lines_in_another_order_are_a_difference(tmp_path: Path) -> None:
    assert outcome(PAGE.replace("hello from made\nmade in 0.1 s", "made in 0.1 s\nhello from made"), tmp_path)[1]


def test_a_command_that_fails_ends_the_page(tmp_path: Path) -> None:
    found = list(blocks(PAGE.replace("cat 'a file.txt'", "false")))
    ran = run(found, tmp_path, os.environ)
    assert ran.code == 1
    assert [*ran.printed] == [7]
    assert ran.last.startswith("line 7 of the page")


def test_a_command_that_is_to_fail_and_does_not_ends_the_page(tmp_path: Path) -> None:
    ran = run(list(blocks(PAGE.replace("; exit 3", ""))), tmp_path, os.environ)
    assert ran.code == 1
    assert ran.last.endswith("it ends\nexit code 0\n")
