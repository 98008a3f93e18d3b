"""docs/reliability.md names only tests that there are, and every fault has one."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "reliability.md").read_text("utf-8")
TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
FAULT = re.compile(r"^\| (\d+b?(?:[–,] ?\d+)?) \|.*$", re.MULTILINE)


def named_in(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    return {one.name for one in tree.body if isinstance(one, ast.FunctionDef)}


def test_each_test_on_the_page_is_there() -> None:
    named = {(path, name) for path, name in TEST.findall(PAGE)}
    there = {(path, name) for path in {path for path, _name in named} for name in named_in(path)}
    assert named - there == set()


def test_each_fault_has_a_test() -> None:
    rows = {row.group(1): row.group() for row in FAULT.finditer(PAGE)}
    assert [number for number, row in rows.items() if not TEST.search(row)] == []
    assert len(rows) == 52
