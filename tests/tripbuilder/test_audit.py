"""The dependency scan fails on findings, and says so when it could not look."""

from __future__ import annotations

from typing import Any

import pytest

from tests.audit import verdict

CLEAN = {"name": "django", "version": "5.2.19", "vulns": []}
HOLED = {"name": "qrcode", "version": "8.2", "vulns": [{"id": "PYSEC-1", "fix_versions": ["8.3"]}]}
UNSEEN = {"name": "axes", "skip_reason": "Dependency not found on PyPI and could not be audited: axes (8.3)"}


@pytest.mark.parametrize(
    ("packages", "expected"),
    [
        ([CLEAN], (["1 packages audited, 0 vulnerabilities known."], 0)),
        (
            [CLEAN, HOLED],
            (["qrcode 8.2: PYSEC-1, mended in 8.3", "2 packages audited, 1 vulnerabilities known."], 1),
        ),
        ([UNSEEN], ([f"COULD NOT AUDIT 1 of 1 packages: {UNSEEN['skip_reason']}"], 0)),
        (
            [UNSEEN, HOLED],
            (
                [
                    "qrcode 8.2: PYSEC-1, mended in 8.3",
                    f"COULD NOT AUDIT 1 of 2 packages: {UNSEEN['skip_reason']}",
                    "1 packages audited, 1 vulnerabilities known.",
                ],
                1,
            ),
        ),
    ],
)
def test_verdict(packages: list[dict[str, Any]], expected: tuple[list[str], int]) -> None:
    assert verdict({"dependencies": packages}) == expected
