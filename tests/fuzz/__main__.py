"""`python -m tests.fuzz --requests 5000 --seed 7`: prints what was answered with a 500, and exits 1 if any was."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections import Counter


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--requests", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"

    import django
    from django.db import connections
    from django.test.utils import get_runner, setup_test_environment

    django.setup()
    setup_test_environment(debug=False)
    from django.conf import settings

    settings.TRAVELLER_LINKS = True
    logging.disable(logging.CRITICAL)
    runner = get_runner(settings)(verbosity=0, interactive=False)
    databases = runner.setup_databases()
    try:
        from tests.fuzz.world import World

        world, seen, found = World(), Counter(), []
        chance = world.chance(options.seed)
        for _ in range(options.requests):
            sent = chance.next()
            answer = world.send(sent)
            seen[answer.status_code] += 1
            if answer.status_code >= 500:
                info = getattr(answer, "exc_info", None)
                found.append(f"{sent}\n    {info[0].__name__}: {str(info[1])[:300]}" if info else str(sent))
        print(*found, sep="\n")
        told = ", ".join(f"{count} × {status}" for status, count in sorted(seen.items()))
        print(f"{options.requests} requests to {len(chance.routes)} addresses, seed {options.seed}: {told}")
    finally:
        connections.close_all()
        runner.teardown_databases(databases)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
