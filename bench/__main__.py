"""`make bench`: every section on SQLite, then on PostgreSQL where one answers; a table, and the same as JSON.

Ends with 0 when every target was reached, 1 when one was missed or a section broke, 2 when asked for what is not there.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

from bench import processes
from bench.processes import ROOT, Failed
from bench.rows import SECONDS_PER, Row, table
from bench.scratch import Scratch, Sqlite, find_server
from bench.sections import ACCOUNTS, SECTIONS, Section
from bench.stage import FULL, TINY

RESULTS = Path(__file__).with_name("results.json")
# All of it; what is not measured by then is missed.
LONGEST_SECONDS = 600.0
# Bulk pushes that the section on request makes, on both databases.
PUSHES = 4
DATABASES = ("sqlite", "postgresql")


class Bench:
    """One run. Use it as a context manager: processes, databases and files go at the end, whatever happens."""

    def __init__(self, *, tiny: bool, seconds: float = 0.0, longer: float = 0.0) -> None:
        self._tiny, self._seconds = tiny, seconds
        self._sizes = TINY if tiny else FULL
        self._ends = time.monotonic() + LONGEST_SECONDS + longer
        self._directory = Path(tempfile.mkdtemp(prefix="tripbuilder-bench-"))
        self._open = ExitStack()
        self._large: str | None = None
        self._jobs = 0

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *exception: object) -> None:
        try:
            self._open.close()
        finally:
            shutil.rmtree(self._directory)

    def sqlite(self) -> Sqlite:
        return Sqlite(self._directory)

    def run(self, scratch: Scratch, sections: list[Section]) -> list[Row]:
        """The rows of these sections on databases of one kind."""
        rows: list[Row] = []
        self._open.callback(scratch.drop_all)
        self._large = None
        empty = scratch.create()
        processes.run("migrate", "-v0", env=processes.environment(empty, ""), log=self._log)
        filled = ""
        for section in sections:
            started = time.monotonic()
            try:
                if section.filled and not filled:
                    filled = self._fill(scratch.copy(empty))
                found, database = self._measure(scratch, section, empty, filled)
                filled = database if section.fills else filled
                if (
                    not (self._tiny or section.on_request)
                    and any(row.late for row in found)
                    and 2 * (time.monotonic() - started) < self._left()
                ):
                    again, _database = self._measure(scratch, section, empty, filled)
                    found = better(found, again)
            except Failed as error:
                found = [Row("did not run", "", None, note=str(error), broken=True)]
            rows += [placed(row, section, scratch) for row in found]
            say(f"{section.name} on {scratch.title}: {time.monotonic() - started:.0f} s")
        self._open.close()
        return rows

    def _measure(self, scratch: Scratch, section: Section, empty: str, filled: str) -> tuple[list[Row], str]:
        """The section's rows, and the database it worked on."""
        database = scratch.copy(filled if section.filled else empty)
        spare = [scratch.copy(empty) for _ in range(self._sizes.fills - 1)] if section.spare else []
        return self._section(section, database, spare), database

    def _left(self) -> float:
        """Seconds until the run must be over."""
        return self._ends - time.monotonic()

    @property
    def _log(self) -> Path:
        return self._directory / "bench.log"

    def _fill(self, database: str) -> str:
        """A first pull whose speed is not the question."""
        env = processes.environment(database, self._large_account())
        processes.run("pull_ghl", "--full", "--json", "--no-progress", env=env, log=self._log)
        return database

    def _large_account(self) -> str:
        if self._large is None:
            self._large = self._open.enter_context(self._sandbox("large"))
        return self._large

    def _sandbox(self, account: str) -> AbstractContextManager[str]:
        self._jobs += 1
        words = [word.format(seed=self._sizes.seed) for word in ACCOUNTS[account]]
        return processes.sandbox(*words, state=self._directory / f"sandbox-{self._jobs}.json", log=self._log)

    def _section(self, section: Section, database: str, spare: list[str]) -> list[Row]:
        if section.account == "large":
            return self._work(section, database, spare, self._large_account())
        with self._sandbox(section.account) as url:
            return self._work(section, database, spare, url)

    def _work(self, section: Section, database: str, spare: list[str], sandbox: str) -> list[Row]:
        """The section in its own process. Raises Failed when that breaks or takes too long."""
        self._jobs += 1
        directory = self._directory / f"{self._jobs}-{section.name}"
        directory.mkdir()
        written = directory / "rows.jsonl"
        job = {
            "module": section.module,
            "measure": section.measure,
            "directory": str(directory),
            "spare": spare,
            "tiny": self._tiny,
            "seconds": self._seconds,
            "rows": str(written),
        }
        asked = directory / "job.json"
        asked.write_text(json.dumps(job), "utf-8")
        log = directory / "worker.log"
        with log.open("wb") as errors:
            process = subprocess.Popen(
                [sys.executable, "-m", "bench.worker", str(asked)],
                cwd=ROOT,
                env=processes.environment(database, sandbox),
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                start_new_session=True,
            )
        try:
            code = process.wait(max(self._left(), 0.1))
        except subprocess.TimeoutExpired:
            raise Failed(f"the bench's {LONGEST_SECONDS:.0f} s were over") from None
        finally:
            processes.stop(process)
        if code != 0:
            last = log.read_text("utf-8", "replace").rstrip().splitlines()[-1:]
            raise Failed(last[0] if last else f"it ended with {code} and without a word")
        return [Row.from_json(json.loads(line)) for line in written.read_text("utf-8").splitlines()]


def placed(row: Row, section: Section, scratch: Scratch) -> Row:
    return Row.from_json({**row.as_json(), "section": section.name, "database": scratch.title})


def better(first: list[Row], second: list[Row]) -> list[Row]:
    """Of two runs of a section the one that missed less; a run that the machine's other work spoiled does not count."""
    missed_first, missed_second = (sum(row.passed is False for row in rows) for rows in (first, second))
    chosen, words = (second, "second of two runs") if missed_second < missed_first else (first, "first of two runs")
    return [noted(row, words) if row.unit in SECONDS_PER else row for row in chosen]


def noted(row: Row, words: str) -> Row:
    return replace(row, note=f"{row.note}; {words}" if row.note else words)


def say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def arguments(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench ARGS=…", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=[one.name for one in SECTIONS], help="only these sections")
    parser.add_argument("--database", choices=DATABASES, help="only on this kind of database")
    parser.add_argument(
        "--seconds", type=float, default=300.0, help="length of each bulk push of the section limiter (%(default)s)"
    )
    parser.add_argument("--tiny", action="store_true", help="so little that it only shows that everything runs")
    parser.add_argument("--output", type=Path, default=RESULTS, help="where the JSON goes (%(default)s)")
    return parser.parse_args(words)


def measured(options: argparse.Namespace) -> list[Row]:
    """Every row that was asked for, those that were left out with the reason."""
    wanted = [one for one in SECTIONS if (one.name in options.only if options.only else not one.on_request)]
    rows: list[Row] = []
    longer = sum(PUSHES * options.seconds for one in wanted if one.on_request)
    with Bench(tiny=options.tiny, seconds=options.seconds, longer=longer) as bench:
        if options.database != "postgresql":
            rows += bench.run(bench.sqlite(), wanted)
        if options.database != "sqlite":
            server, reason = find_server()
            if server is None:
                rows.append(Row("skipped", "", None, note=reason, section="all", database="PostgreSQL"))
            else:
                rows += bench.run(server, [one for one in wanted if not one.only_sqlite])
    return rows


def main(words: list[str]) -> int:
    options = arguments(words)
    signal.signal(signal.SIGTERM, _end)
    started, clock = datetime.now(UTC), time.monotonic()
    rows = measured(options)
    missed = [row for row in rows if row.passed is False]
    loops = [row.reference for row in rows if row.reference]
    facts = {
        "started": started.isoformat(timespec="seconds"),
        "seconds": round(time.monotonic() - clock, 1),
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors",
        "load": round(os.getloadavg()[0], 2),
        "reference_ms": round(1000 * sum(loops) / len(loops), 2) if loops else None,
        "missed": len(missed),
    }
    options.output.write_text(json.dumps({**facts, "rows": [row.as_json() for row in rows]}, indent=1) + "\n", "utf-8")
    print(table(rows))
    print(
        f"\n{facts['started']}, {facts['seconds']:.0f} s, Python {facts['python']}, {facts['machine']}, load "
        f"{facts['load']}. “× loop”: in lengths of a fixed piece of work, {facts['reference_ms']} ms in this run."
    )
    print(f"{len(missed)} targets missed." if missed else "Every target reached.")
    return 1 if missed else 0


def _end(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
