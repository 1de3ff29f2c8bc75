"""Coverage-guided fuzzing of one target: `python -m tests.fuzz TARGET FOLDER [libFuzzer options]`.

FOLDER gets the seeds (`corpus`), the dictionary and whatever was found. The process ends with 0
when nothing was found; otherwise libFuzzer shows the input (base64) and leaves it in FOLDER. A
result that takes more than a second of processor time for 100 KB is a finding too.

Only this process is instrumented: atheris rewrites modules while they are imported.
"""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["gateway"]):
    from tests.fuzz import targets

from tests.fuzz import seeds

LONGEST = 100_000
MOST_SECONDS = 1.0
MOST_MB = 256


def already_mb() -> int:
    """The peak that counts as ours from the start: the kernel hands on that of who started us."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def main(arguments: list[str]) -> None:
    name, folder, *options = arguments
    place = Path(folder)
    corpus = place / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    dictionary = seeds.write(corpus, name)
    target = targets.TARGETS[name]

    def judged(data: bytes) -> None:
        began = time.process_time()
        target(data)
        if (took := time.process_time() - began) > MOST_SECONDS:
            raise TimeoutError(f"{took:.2f} s of processor time for {len(data)} bytes")

    atheris.Setup(
        [
            "fuzz",
            f"-max_len={LONGEST}",
            f"-dict={dictionary}",
            f"-artifact_prefix={place}/found-",
            f"-rss_limit_mb={already_mb() + MOST_MB}",
            *options,
            str(corpus),
        ],
        judged,
    )
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])
