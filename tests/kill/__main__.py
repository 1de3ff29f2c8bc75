"""`make kill-test`: SIGKILL at random points; the report goes to build/kill-test.txt.

python -m tests.kill                                    200 kills on each database, 3 workers, for
                                                        each pair of axes
python -m tests.kill --axes vxp+soap                    one of them
python -m tests.kill --kills 50 --database sqlite       one of them
python -m tests.kill --seed 7 --database postgresql     with the seed of a run before
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
from pathlib import Path

from tests.kill.run import Wish, run

DATABASES = ("sqlite", "postgresql")
AXES = ("vxp+vxp", "vxp+soap")
REPORT = Path("build/kill-test.txt")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.kill", description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="on each database (default 200)")
    parser.add_argument("--seed", type=int, help="of a run before; else a new one, printed")
    parser.add_argument("--database", choices=DATABASES, action="append")
    parser.add_argument("--axes", choices=AXES, action="append")
    parser.add_argument("--workers", type=int, default=3, help="of each job, on PostgreSQL")
    parser.add_argument("--rate", type=float, default=8.0, help="documents a second")
    parser.add_argument("--report", type=Path, default=REPORT)
    asked = parser.parse_args()
    seed = random.SystemRandom().randrange(1_000_000) if asked.seed is None else asked.seed
    lines = [f"kill test of {time.strftime('%Y-%m-%d %H:%M')}, seed {seed}"]
    failed = False
    pairs = [(d, a) for a in asked.axes or AXES for d in asked.database or DATABASES]
    for database, axes in pairs:
        wish = Wish(
            kills=asked.kills,
            seed=seed,
            database=database,
            workers=asked.workers,
            rate=asked.rate,
            soap=axes == "vxp+soap",
        )
        with tempfile.TemporaryDirectory(prefix="edoc-kill-") as folder:
            outcome = asyncio.run(run(wish, Path(folder)))
        lines += outcome.lines()
        failed = failed or bool(outcome.verdict.problems)
        print("\n".join(outcome.lines()), flush=True)
    asked.report.parent.mkdir(parents=True, exist_ok=True)
    asked.report.write_text("\n".join(lines) + "\n", "utf-8")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
