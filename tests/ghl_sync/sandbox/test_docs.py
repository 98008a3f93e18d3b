"""docs/sandbox.md and the tests say the same: a row for each behaviour, a test for each row."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from django.core.management import load_command_class

from ghl_sync.sandbox.faults import KINDS

ROOT = Path(__file__).resolve().parents[3]
FOLDER = Path(__file__).parent
PAGE = (ROOT / "docs" / "sandbox.md").read_text("utf-8")
ROW = re.compile(r"^\| (?P<behaviour>.+?) \| (?P<source>.+?) \| `(?P<test>tests/\S+::test_\w+)` \|$", re.MULTILINE)
SOURCE = re.compile(r"API notes §\d+(\.\d+)?|a switch|ours")


def behaviour_tests() -> list[str]:
    """The tests of all modules that are marked as behaviour, in the form of the table."""
    found = []
    for path in sorted(FOLDER.glob("test_*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        marks = [ast.unparse(one.value) for one in tree.body
                 if isinstance(one, ast.Assign) and ast.unparse(one.targets[0]) == "pytestmark"]  # fmt: skip
        if marks == ["pytest.mark.behaviour"]:
            names = [one.name for one in tree.body if isinstance(one, ast.FunctionDef) and one.name.startswith("test_")]
            found += [f"{path.relative_to(ROOT).as_posix()}::{name}" for name in names]
    return found


def test_each_behaviour_has_a_row_and_each_row_its_test() -> None:
    listed = [row["test"] for row in ROW.finditer(PAGE)]
    assert sorted(listed) == sorted(behaviour_tests())
    assert len(listed) > 150


def test_each_row_names_its_source() -> None:
    assert [row.group() for row in ROW.finditer(PAGE) if not SOURCE.match(row["source"])] == []


def test_no_line_of_a_table_of_behaviours_is_misread() -> None:
    table = PAGE[PAGE.index("## Behaviours") :]
    lines = [line for line in table.splitlines() if line.startswith("|")]
    heads = [line for line in lines if line in {"| Behaviour | Source | Test |", "|---|---|---|"}]
    assert len(lines) - len(heads) == len(ROW.findall(table))


def test_each_fault_and_option_is_explained() -> None:
    parser = load_command_class("ghl_sync", "ghl_sandbox").create_parser("manage.py", "ghl_sandbox")
    own = {"--port", "--state", "--seed", "--no-limit", "--rate-max", "--lag", "--webhooks", "--webhook-seed"}
    options = {name for action in parser._actions for name in action.option_strings}
    assert own <= options
    missing = [name for name in own if f"| `{name}" not in PAGE]
    missing += [kind for kind in KINDS if f"`{kind}`" not in PAGE]
    assert missing == []
