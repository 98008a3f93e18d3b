"""The engine as it runs in life: a django-q2 cluster in processes of its own, killed by signals."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random

from django_q.tasks import async_task

from tests.chaos.inside import leases_run_out
from tests.chaos.trouble import Trouble
from tests.clusters import Cluster

KILL_CHANCE = 0.012  # of a step: some six kills in a run of 500
VICTIMS = ("cluster", "worker", "monitor", "pusher", "sentinel", "main", "stop")
WEIGHTS = (4, 3, 1, 1, 1, 1, 1)
CHILDREN = {"worker", "monitor", "pusher", "sentinel", "main"}
WEDGED_SECONDS = 1.0


class Clustered:
    """One or two clusters that share the queue. Work is asked for by tasks, as schedules do."""

    def __init__(
        self, random: Random, trouble: Trouble, note: Callable[[str], None], folder: Path, *, clusters: int
    ) -> None:
        self._random, self._trouble, self._note = random, trouble, note
        self.kills: Counter[str] = Counter()
        self._clusters = [Cluster(folder / f"cluster-{number}.log") for number in range(clusters)]
        for cluster in self._clusters:
            cluster.start()

    def push(self) -> None:
        self._ask("sweep")

    def pull_changes(self) -> None:
        self._ask("pull_changes")

    def pull_all(self) -> None:
        self._ask("pull_everything")

    def pull_slice(self) -> None:
        self._ask("pull_changes")

    def handle_webhooks(self) -> None:
        self._ask("handle_events")

    def definitions(self) -> None:
        self._ask("refresh_definitions")

    def pause(self) -> None:
        time.sleep(self._random.uniform(0, 0.1))
        if self._random.random() < KILL_CHANCE:
            self._kill(self._random.choice(self._clusters), self._random.choices(VICTIMS, WEIGHTS)[0])

    def stop(self) -> None:
        for cluster in self._clusters:
            cluster.kill()
        leases_run_out()

    def _ask(self, task: str) -> None:
        self._trouble.calm()
        for told in self._trouble.brew():
            self._note(told)
        async_task(f"ghl_sync.tasks.{task}")

    def _kill(self, cluster: Cluster, victim: str) -> None:
        """The victim dies without a word (`stop`: by the book); what is left is started again, as staff would."""
        self.kills[victim] += 1
        self._note(f"killed {victim}")
        if victim in CHILDREN:
            pids = cluster.pids(victim)
            if pids:
                with suppress(ProcessLookupError):
                    os.kill(self._random.choice(pids), signal.SIGKILL)
            time.sleep(WEDGED_SECONDS)  # whatever is left may go on, or be wedged
        if victim == "stop":
            cluster.stop()
        cluster.kill()
        leases_run_out()
        cluster.start()
