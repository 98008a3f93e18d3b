"""`make chaos SEEDS=1-200 STEPS=500 DATABASE=postgresql BROKER=redis`: long random runs and a table of what they found.

Each seed is one run of `test_random.py`. Ends with 1 when an invariant was broken; the seed repeats the run, though
what another process does meanwhile (a cluster, a second worker) is not repeated to the instant.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from tests.chaos.tally import Tally
from tests.run import find_postgresql

ROOT = Path(__file__).resolve().parents[2]
TEST = "tests/chaos/test_random.py"
SHOWN, LONGEST = 6, 1500


def arguments(given: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seeds", default="1-20", help="one number or first-last")
    parser.add_argument("--steps", type=int, default=500, help="random operations of each run")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--broker", choices=("database", "redis"), default="database")
    parser.add_argument("--mode", choices=("engine", "queue", "realtime"), help="instead of the one a seed stands for")
    parser.add_argument("--jobs", type=int, default=1, help="runs side by side")
    return parser.parse_args(given)


def seeds_of(text: str) -> list[int]:
    first, _, last = text.partition("-")
    return list(range(int(first), int(last or first) + 1))


@contextmanager
def redis_server(wanted: bool) -> Iterator[str]:
    """The address of a Redis of our own; empty where none is wanted."""
    if not wanted:
        yield ""
        return
    program = shutil.which("redis-server")
    if program is None:
        sys.exit("BROKER=redis needs the program redis-server; install it, or leave BROKER out.")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    server = subprocess.Popen([program, *options], **quiet)  # type: ignore[call-overload]
    try:
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        server.terminate()
        server.wait()


def run_seed(seed: int, given: argparse.Namespace, database: str, redis: str, lane: int) -> Tally:
    """One pytest process for one seed, on a database of its lane."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "tally.json"
        environment = {
            **os.environ,
            "CHAOS_SEEDS": str(seed),
            "CHAOS_STEPS": str(given.steps),
            "CHAOS_MODE": given.mode or "",
            "CHAOS_REPORT": str(report),
            "TRIPBUILDER_TEST_DATABASE": f"{database}_chaos{lane}" if database else "",
            "TRIPBUILDER_TEST_REDIS": redis,
        }
        options = ["-q", "-p", "no:randomly", "-p", "no:cacheprovider", "--create-db"]
        started = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", "pytest", TEST, *options],
            cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        )  # fmt: skip
        seconds = round(time.monotonic() - started, 2)
        whole = report.exists()
        tally = Tally.from_json(report.read_text()) if whole else Tally(seed, given.mode or "?", seconds=seconds)
    if done.returncode and not tally.violations:
        tally.violations.append(f"the run broke off:\n{done.stdout[-1000:]}{done.stderr[-400:]}")
    return tally


def summary(tallies: list[Tally], seconds: float) -> list[str]:
    """The closing lines: totals, what struck how often, and every violation with its seed."""
    faults, kills = Counter[str](), Counter[str]()
    for tally in tallies:
        faults += tally.faults
        kills += tally.kills
    rests = sorted(tally.rest_seconds for tally in tallies)
    broken = [tally for tally in tallies if tally.violations]
    lines = [
        f"{len(tallies)} runs, {sum(one.operations.total() for one in tallies)} operations, "
        f"{sum(one.calls for one in tallies)} calls, {faults.total()} faults, {kills.total()} kills, "
        f"{sum(one.conflicts for one in tallies)} conflicts, {sum(one.parked for one in tallies)} parked meanwhile, "
        f"{sum(one.races for one in tallies)} races of promise 4; "
        f"time to rest {rests[len(rests) // 2]:.1f} s (median), {rests[-1]:.1f} s (longest); {seconds:.0f} s in all",
        "faults: " + ", ".join(f"{name} {count}" for name, count in faults.most_common()),
        "kills: " + ", ".join(f"{name} {count}" for name, count in kills.most_common()),
    ]
    for tally in broken:
        lines += [f"seed {tally.seed} ({tally.mode}):", *(f"  {words[:LONGEST]}" for words in tally.violations[:SHOWN])]
    lines.append(f"{len(broken)} runs broke an invariant" if broken else "no invariant was broken")
    return lines


def main(given: argparse.Namespace) -> int:
    seeds, database = seeds_of(given.seeds), ""
    if given.database == "postgresql":
        found = find_postgresql()
        if found is None:
            sys.exit("DATABASE=postgresql: no server answers; see tests/run.py for how to name one.")
        database = found[0]
    print(f"{given.database}, {given.broker} broker, {given.steps} operations a run\n{Tally.HEAD}", flush=True)
    started, lanes, tallies = time.monotonic(), list(range(given.jobs)), list[Tally]()
    with redis_server(given.broker == "redis") as redis, ThreadPoolExecutor(given.jobs) as pool:

        def run(seed: int) -> Tally:
            lane = lanes.pop()
            try:
                return run_seed(seed, given, database, redis, lane)
            finally:
                lanes.append(lane)

        for tally in pool.map(run, seeds):
            tallies.append(tally)
            print(tally.line(), flush=True)
    print("\n".join(["", *summary(tallies, time.monotonic() - started)]))
    return int(any(tally.violations for tally in tallies))


if __name__ == "__main__":
    try:
        sys.exit(main(arguments(sys.argv[1:])))
    except KeyboardInterrupt:
        sys.exit(130)
