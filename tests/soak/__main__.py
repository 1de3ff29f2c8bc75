"""`make soak`: 600 s at 50 documents/s on each database, each side; report in build/soak.txt.

python -m tests.soak                                    about fifty minutes
python -m tests.soak --seconds 60 --rate 20 --database sqlite --side sender
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
from pathlib import Path

from tests.bench import machine
from tests.soak.run import P99_MS, Wish, run
from tests.support.fleet.world import RECEIVER, SENDER

DATABASES = ("sqlite", "postgresql")
REPORT = Path("build/soak.txt")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--rate", type=float, default=50.0, help="documents a second")
    parser.add_argument("--database", choices=DATABASES, action="append")
    parser.add_argument("--side", choices=(SENDER, RECEIVER), action="append")
    parser.add_argument("--seed", type=int, help="of a run before; else a new one, printed")
    parser.add_argument("--report", type=Path, default=REPORT)
    asked = parser.parse_args()
    machine.pin()
    about = machine.facts()
    seed = random.SystemRandom().randrange(1_000_000) if asked.seed is None else asked.seed
    lines = [
        f"soak of {time.strftime('%Y-%m-%d %H:%M')}, revision {about['revision']}",
        f"{about['processor']}, {about['cores_used']} cores, Python {about['python']}",
        f"p99 of accepting at 10 KB: at most {P99_MS:.0f} ms",
    ]
    failed = False
    for database in asked.database or DATABASES:
        for side in asked.side or (SENDER, RECEIVER):
            wish = Wish(
                side=side, database=database, seconds=asked.seconds, rate=asked.rate, seed=seed
            )
            with tempfile.TemporaryDirectory(prefix="edoc-soak-") as folder:
                outcome = asyncio.run(run(wish, Path(folder)))
            print("\n".join(outcome.lines()), flush=True)
            lines += outcome.lines()
            failed = failed or bool(outcome.verdict.problems)
    asked.report.parent.mkdir(parents=True, exist_ok=True)
    asked.report.write_text("\n".join(lines) + "\n", "utf-8")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
