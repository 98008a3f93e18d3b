"""`python -m tests.audit`: known vulnerabilities of every installed package, asked of PyPI by pip-audit.

Exit 1 where one is found. Where the service does not answer, or does not know the packages, pip-audit would end well
having looked at nothing; here that is said out loud, COULD NOT AUDIT, and is no failure: a mirror without the service
must not stop every change.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

COMMAND = [sys.executable, "-m", "pip_audit", "--format", "json", "--progress-spinner", "off"]


def verdict(report: dict[str, Any]) -> tuple[list[str], int]:
    """What to print of pip-audit's report, and the exit code."""
    packages = report["dependencies"]
    unseen = [one for one in packages if "skip_reason" in one]
    found = [(one, hole) for one in packages for hole in one.get("vulns", [])]
    lines = [
        f"{one['name']} {one['version']}: {hole['id']}, mended in {', '.join(hole['fix_versions']) or 'no version yet'}"
        for one, hole in found
    ]
    if unseen:
        lines.append(f"COULD NOT AUDIT {len(unseen)} of {len(packages)} packages: {unseen[0]['skip_reason']}")
    if len(unseen) < len(packages):
        lines.append(f"{len(packages) - len(unseen)} packages audited, {len(found)} vulnerabilities known.")
    return lines, 1 if found else 0


def main() -> int:
    done = subprocess.run(COMMAND, capture_output=True, text=True, check=False, timeout=600)
    try:
        lines, code = verdict(json.loads(done.stdout))
    except (ValueError, KeyError):
        said = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        lines, code = [f"COULD NOT AUDIT anything: {said}"], 0
    print(*lines, sep="\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
