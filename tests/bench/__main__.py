"""`make bench`: ratios to floors measured in the same run; nothing here passes or fails a build.

    python -m tests.bench                     everything, about ten minutes
    python -m tests.bench rate                one part: documents, packages, carry, rate, queue,
                                              silent, ledger, soap
    python -m tests.bench --rounds 1 --short  a quick look

Results go to tests/bench/results/, as JSON with every round and as a short page.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.bench import carry, documents, ledger, machine, packages, queue, rate, silent, soap
from tests.bench.report import Table, keep

RESULTS = Path(__file__).parent / "results"
PARTS = ("documents", "packages", "carry", "rate", "queue", "silent", "ledger", "soap")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="part", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds (default 5)")
    parser.add_argument("--seconds", type=float, default=5.0, help="of load in each round")
    parser.add_argument(
        "--short", action="store_true", help="without 500 MB, shorter queue and ledger"
    )
    parser.add_argument("--name", default=time.strftime("%Y-%m-%d"), help="of the result files")
    asked = parser.parse_args()
    unknown = sorted(set(asked.parts) - set(PARTS))
    if unknown:
        parser.error(f"unknown part: {', '.join(unknown)}")
    machine.pin()
    about = machine.facts()
    print(f"{about['processor']}, {about['cores_used']} cores, Python {about['python']}")
    tables = []
    for part in asked.parts or PARTS:
        with tempfile.TemporaryDirectory(prefix="edoc-bench-") as folder:
            for table in _part(part, Path(folder), asked):
                print("\n" + table.as_text(), end="", flush=True)
                tables.append(table)
    made = keep(RESULTS, asked.name, {"day": time.strftime("%Y-%m-%d"), **about}, tables)
    print("\nwritten:", *(str(path.relative_to(Path.cwd())) for path in made))
    return 0


def _part(part: str, folder: Path, asked: argparse.Namespace) -> Iterator[Table]:
    if part == "documents":
        return documents.run(folder, rounds=asked.rounds, large=not asked.short)
    if part == "packages":
        return packages.run(folder, rounds=asked.rounds, large=not asked.short)
    if part == "carry":
        return carry.run(folder, rounds=max(1, asked.rounds // 2))
    if part == "queue":
        return queue.run(folder, large=not asked.short)
    if part == "silent":
        return silent.run(folder, rounds=asked.rounds)
    if part == "soap":
        return soap.run(folder, rounds=asked.rounds)
    if part == "ledger":
        return ledger.run(folder, large=not asked.short)
    return rate.run(folder, rounds=max(1, asked.rounds - 2), seconds=asked.seconds)


if __name__ == "__main__":
    sys.exit(main())
