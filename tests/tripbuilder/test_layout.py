"""The shape of the project: imports point one way, migrations are complete, documented variables are those read."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import call_command

ROOT = Path(__file__).resolve().parents[2]


def test_imports_follow_the_contract():
    done = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c(['--no-cache'])"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.django_db
def test_no_migration_is_missing(capsys):
    call_command("makemigrations", check=True, dry_run=True, verbosity=1)

    assert capsys.readouterr().out == "No changes detected\n"


def test_no_file_holds_what_a_merge_left_open():
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    left = [
        f"{name}:{number}"
        for name in filter(None, tracked.split("\0"))
        if (ROOT / name).suffix in {".py", ".js", ".css", ".html", ".md", ".toml", ".txt", ".example"}
        for number, line in enumerate((ROOT / name).read_text().splitlines(), 1)
        if line.startswith(("<" * 7 + " ", ">" * 7 + " "))
    ]

    assert left == []
