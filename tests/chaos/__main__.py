"""`make chaos SEEDS=1-200 STEPS=500 DATABASE=postgresql BROKER=redis`: long random runs and a table of what they found.

Each seed is one run of `test_random.py`. Ends with 1 when an invariant was broken; such a run leaves its steps in a
file. The seed repeats each step's operation, faults and kills; what another process does meanwhile (a cluster, a second
worker) and which wait is over by then are not repeated to the instant.
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
# Seeds of one process: starting one and making its database costs some seconds.
AT_ONCE = 10
LOOK_SECONDS = 0.5


def arguments(given: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seeds", type=seeds_of, default="1-20", help="one number or first-last")
    parser.add_argument("--steps", type=int, default=500, help="random operations of each run")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--broker", choices=("database", "redis"), default="database")
    parser.add_argument("--mode", choices=("engine", "queue", "realtime"), help="instead of the one a seed stands for")
    parser.add_argument("--jobs", type=int, default=1, help="runs side by side")
    return parser.parse_args(given)


def seeds_of(text: str) -> list[int]:
    """The seeds from first to last. Raises ArgumentTypeError, which the command prints in one sentence."""
    first, _, last = text.partition("-")
    if not (first.isdecimal() and (last or first).isdecimal() and int(first) <= int(last or first)):
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number nor first-last; write 170 or 1-20")
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


def run_seeds(seeds: list[int], given: argparse.Namespace, database: str, redis: str, lane: int) -> list[Tally]:
    """One pytest process for some seeds, on a database of its lane; their figures are printed as they come."""
    with tempfile.TemporaryDirectory() as folder:
        report, said = Path(folder) / "tallies", Path(folder) / "output"
        environment = {
            **os.environ,
            "CHAOS_SEEDS": f"{seeds[0]}-{seeds[-1]}",
            "CHAOS_STEPS": str(given.steps),
            "CHAOS_MODE": given.mode or "",
            "CHAOS_REPORT": str(report),
            "TRIPBUILDER_TEST_DATABASE": f"{database}_chaos{lane}" if database else "",
            "TRIPBUILDER_TEST_REDIS": redis,
        }
        report.touch()
        options = ["-q", "-p", "no:randomly", "-p", "no:cacheprovider", "--create-db", "--tb=short"]
        with said.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "pytest", TEST, *options],
                cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            )  # fmt: skip
            tallies = list(_followed(process, report))
        for missing in sorted(set(seeds) - {tally.seed for tally in tallies}):
            lost = Tally(missing, given.mode or "?")
            lost.violations.append(f"the run broke off:\n{said.read_text(errors='replace')[-1500:]}")
            tallies.append(lost)
    return tallies


def _followed(process: subprocess.Popen[bytes], report: Path) -> Iterator[Tally]:
    """What the runs write down, as they do; ends with the process."""
    with report.open() as lines:
        while True:
            ended = process.poll() is not None
            while line := lines.readline():
                tally = Tally.from_json(line)
                print("\n".join([tally.line(), *told(tally)]), flush=True)
                yield tally
            if ended:
                return
            time.sleep(LOOK_SECONDS)


def told(tally: Tally) -> list[str]:
    """What a run broke, and where its steps are."""
    lines = [f"  {words[:LONGEST]}" for words in tally.violations[:SHOWN]]
    return [*lines, f"  its steps: {tally.log}"] if tally.log else lines


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
        f"{sum(one.drifts for one in tallies)} drifts audited, "
        f"{sum(one.races for one in tallies)} races of promise 4; "
        f"time to rest {rests[len(rests) // 2]:.1f} s (median), {rests[-1]:.1f} s (longest); {seconds:.0f} s in all",
        "faults: " + ", ".join(f"{name} {count}" for name, count in faults.most_common()),
        "kills: " + ", ".join(f"{name} {count}" for name, count in kills.most_common()),
    ]
    for tally in broken:
        lines += [f"seed {tally.seed} ({tally.mode}):", *told(tally)]
    lines.append(f"{len(broken)} runs broke an invariant" if broken else "no invariant was broken")
    return lines


def main(given: argparse.Namespace) -> int:
    seeds, database = given.seeds, ""
    if given.database == "postgresql":
        found = find_postgresql()
        if found is None:
            sys.exit("DATABASE=postgresql: no server answers; see tests/run.py for how to name one.")
        database = found[0]
    print(f"{given.database}, {given.broker} broker, {given.steps} operations a run\n{Tally.HEAD}", flush=True)
    started, lanes, tallies = time.monotonic(), list(range(given.jobs)), list[Tally]()
    with redis_server(given.broker == "redis") as redis, ThreadPoolExecutor(given.jobs) as pool:

        def run(some: list[int]) -> list[Tally]:
            lane = lanes.pop()
            try:
                return run_seeds(some, given, database, redis, lane)
            finally:
                lanes.append(lane)

        size = min(AT_ONCE, -(-len(seeds) // given.jobs))
        for found in pool.map(run, [seeds[start : start + size] for start in range(0, len(seeds), size)]):
            tallies += found
    print("\n".join(["", *summary(tallies, time.monotonic() - started)]))
    return int(any(tally.violations for tally in tallies))


if __name__ == "__main__":
    try:
        sys.exit(main(arguments(sys.argv[1:])))
    except KeyboardInterrupt:
        sys.exit(130)
