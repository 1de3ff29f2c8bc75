"""Coverage-guided fuzzing of reading, verifying and unpacking: nothing but results and refusals.

The short run has a fixed number of inputs, a fixed seed and a corpus that is the same each time;
the long one has as many as fit into its time. What is found stays in build/fuzz/TARGET and is shown
as base64; it belongs into `FOUND`, so that it is tried for ever.
"""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.fuzz import seeds, targets

ROOT = Path(__file__).parents[2]
LONG_SECONDS = 300
RUNS = {"package": 1000, "signature": 1000, "certificate": 3000, "attachment": 3000}

# target, base64 of the input: everything that was ever found
FOUND = [
    # a zip whose central directory names another method than its local header: stored for us,
    # unknown to others
    (
        "attachment",
        (
            "DFBLAwQUAAAAAAAAACEAC/lDVgYAAAAGAAAABQAAAGEudHh0c3RvcmVkUEsBAhQDFAAAAABzAAAhAAv5Q1YGAAAABg"
            "AAAAUAAAAAAAAAAAAAAIABAAAAAGEudHh0UEsFBgAAAAABAAEAMwAAACkAAAAAAA=="
        ),
    ),
]


def start(target: str, *options: str) -> subprocess.Popen[str]:
    """The fuzzer in a folder of its own, emptied first."""
    folder = ROOT / "build" / "fuzz" / target
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return subprocess.Popen(
        [sys.executable, "-m", "tests.fuzz", target, str(folder), *options],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": "0"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )


def judge(target: str, said: str, code: int | None) -> None:
    """Fails with the inputs that were found and the last that the fuzzer said."""
    found = sorted((ROOT / "build" / "fuzz" / target).glob("found-*"))
    shown = "\n".join(
        f"{path}: {base64.b64encode(path.read_bytes()).decode()[:20_000]}" for path in found
    )
    assert (code, shown) == (0, ""), said[-4000:]


@pytest.mark.parametrize("target", targets.TARGETS)
def test_a_short_run_finds_nothing(target: str) -> None:
    process = start(target, "-seed=20261129", f"-runs={RUNS[target]}", "-timeout=60")
    _, said = process.communicate()
    judge(target, said, process.returncode)
    assert f"Done {RUNS[target]} runs" in said


@pytest.mark.long
@pytest.mark.timeout(2 * LONG_SECONDS + 600)
@pytest.mark.parametrize("pair", [("package", "attachment"), ("signature", "certificate")])
def test_minutes_of_fuzzing_find_nothing(pair: tuple[str, str]) -> None:
    """Two processes at a time, twice: twenty minutes of processor time."""
    bound = f"-max_total_time={LONG_SECONDS}"
    running = [start(target, "-seed=20261130", bound, "-timeout=60") for target in pair]
    with ThreadPoolExecutor(len(running)) as readers:
        # side by side: a fuzzer whose words nobody reads stands still once its pipe is full
        said = list(readers.map(lambda process: process.communicate()[1], running))
    for target, process, words in zip(pair, running, said, strict=True):
        judge(target, words, process.returncode)


@pytest.mark.parametrize("target", targets.TARGETS)
def test_the_seeds_hold(target: str) -> None:
    """A target that refused every seed would find nothing either."""
    for data in seeds.CORPORA[target]():
        targets.TARGETS[target](data)


@pytest.mark.parametrize(("target", "data"), FOUND)
def test_what_was_found_once_is_found_no_more(target: str, data: str) -> None:
    targets.TARGETS[target](base64.b64decode(data))
