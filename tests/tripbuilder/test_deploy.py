"""What a server is set up with: the Dockerfile's own steps run here, everything else is read and compared.

No image is built: that takes a Docker daemon. Left out of the Dockerfile are the steps that install (packages of
Debian and Python) and that make an account; the packages are those of the running interpreter.
"""

from __future__ import annotations

import configparser
import fnmatch
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import get_commands

from tests.clusters import ROOT, eventually

INSTALLS = ("apt-get", "useradd", "python -m venv", "/venv/bin/pip")
BIN = str(Path(sys.executable).parent)


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's, each with its lines joined."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.M).replace("\\\n", " ")
    return [(word, rest.strip()) for word, _space, rest in (line.partition(" ") for line in text.splitlines() if line)]


def values(word: str) -> list[str]:
    return [rest for found, rest in instructions() if found == word]


def is_ignored(name: str) -> bool:
    """As .dockerignore says: a pattern is about the top folder, unless it begins with `**/`."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    for pattern in (line for line in lines if line and not line.startswith("#")):
        if pattern.startswith("**/"):
            if any(fnmatch.fnmatch(part, pattern[3:]) for part in name.split("/")):
                return True
        elif fnmatch.fnmatch(name.split("/")[0], pattern):
            return True
    return False


def copied(folder: Path) -> None:
    """What `COPY . .` would bring of a clean clone."""
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, tracked.split("\0")):
        if not is_ignored(name):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)


@pytest.mark.timeout(600)
def test_the_image_s_steps_lead_to_a_web_that_lives(tmp_path: Path) -> None:
    app = tmp_path / "app"
    app.mkdir()
    copied(app)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = str(probe.getsockname()[1])
    told = dict(part.split("=", 1) for line in values("ENV") for part in line.split())
    env = {
        **{name: value for name, value in told.items() if name != "PATH"},
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "PRIVATE_ROOT": str(tmp_path / "private"),
        "PYTHONWARNINGS": "ignore",
    }
    steps = [step for step in values("RUN") if not any(word in step for word in INSTALLS)]
    for step in steps:
        done = subprocess.run(["sh", "-ec", step], cwd=app, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    secrets = {
        "SECRET_KEY": "x" * 50,
        "FIELD_ENCRYPTION_KEYS": "A" * 43 + "=",
        "ALLOWED_HOSTS": "trips.example.com",
        "DATABASE_URL": f"sqlite:///{tmp_path / 'db.sqlite3'}",
    }
    subprocess.run(["python", "manage.py", "migrate", "-v0"], cwd=app, env=env | secrets, check=True)
    command = [word.replace("0.0.0.0:8000", f"127.0.0.1:{port}") for word in json.loads(values("CMD")[-1])]
    health = json.loads(values("HEALTHCHECK")[0].partition("CMD ")[2])
    health[-1] = health[-1].replace(":8000/", f":{port}/")
    with (tmp_path / "log").open("wb") as log:
        web = subprocess.Popen(command, cwd=app, env=env | secrets, stdout=log, stderr=log)
    try:
        eventually(
            lambda: subprocess.run(health, env=env, capture_output=True).returncode == 0,
            seconds=90,
            what="the health check never passed",
        )
        ready = [*health[:-1], health[-1].replace("livez", "readyz")]
        assert subprocess.run(ready, env=env, capture_output=True).returncode == 0
    finally:
        web.terminate()
        web.wait(30)
    assert len(steps) == 1
    assert (app / "static_collected/staticfiles.json").is_file()
    assert [name for name in (".env", ".git", "tests", "backups") if (app / name).exists()] == []


def test_no_secret_and_no_data_can_come_into_the_image() -> None:
    private = [".env", ".env.local", "tripbuilder.sqlite3", "tripbuilder.sqlite3-wal", "private/a/scan.pdf",
               "backups/tripbuilder-2027.tar.gz", ".git/config", ".venv/bin/python", "sandbox-state.json"]  # fmt: skip
    assert [name for name in private if not is_ignored(name)] == []
    assert [name for name in ("manage.py", "tripbuilder/backups/making.py") if is_ignored(name)] == []
    assert ("USER", "tripbuilder") in instructions()


def test_compose_starts_what_there_is() -> None:
    compose: Any = yaml.safe_load((ROOT / "compose.yaml").read_text())
    services = compose["services"]
    assert sorted(services) == ["db", "migrate", "redis", "sandbox", "watchdog", "web", "worker"]
    assert [name for name, told in services.items() if told.get("profiles")] == ["sandbox"]
    assert services["web"]["ports"] == ["127.0.0.1:8000:8000"]
    commands = {told["command"][2] for told in services.values() if "manage.py" in told.get("command", [])}
    assert commands - set(get_commands()) == set()
    for told in services.values():
        assert set(told.get("depends_on", {})) <= set(services)
    versions = [re.search(r"-client-(\d+)", (ROOT / "Dockerfile").read_text())[1], "15"]  # type: ignore[index]
    assert services["db"]["image"] == f"postgres:{versions[0]}-bookworm"


@pytest.mark.parametrize("path", sorted((ROOT / "deploy").glob("*.service")), ids=lambda path: path.stem)
def test_units_name_commands_that_there_are(path: Path) -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[method-assign,assignment]
    unit.read(path)
    service = unit["Service"]
    words = service["ExecStart"].split()
    if "manage.py" in words:
        assert words[2] in get_commands()
    else:
        assert words[0].endswith("/.venv/bin/gunicorn")
    if service.get("Type") != "oneshot":
        assert (service["KillMode"], service["Restart"]) == ("mixed", "always")
    assert (service["User"], service["NoNewPrivileges"]) == ("tripbuilder", "true")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze on PATH")
def test_systemd_finds_nothing_wrong_with_the_units() -> None:
    units = [str(path) for path in (ROOT / "deploy").iterdir() if path.suffix in {".service", ".timer", ".target"}]
    done = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True)

    left = [line for line in done.stderr.splitlines() if "tripbuilder" in line and "is not executable" not in line]
    assert left == []
