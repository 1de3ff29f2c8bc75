"""The parent of gateway processes: it imports everything once and forks a child for each order.

`python -m tests.support.fleet.parent` reads orders from stdin, one JSON object a line (`job`,
`conf`, `log`, `notify`), and answers each with `{"pid"}`. A child runs the real command line, `run
JOB --conf CONF`; that it was forked instead of started saves the second that imports take. Children
die with their parent, and the parent ends with its stdin.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys

from gateway.cli import main as command_line
from gateway.cli import running as _running
from gateway.store import postgres as _postgres
from gateway.wiring import serving as _serving  # imported before the fork: it is the slowest part

assert _running
assert _postgres
assert _serving
PR_SET_PDEATHSIG = 1


def live(order: dict[str, str]) -> None:
    """One gateway process, from its first breath to its exit code."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for given, wanted in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(given, wanted)
    os.environ["NOTIFY_SOCKET"] = order["notify"]
    code: object = 1
    try:
        command_line(["run", order["job"], "--conf", order["conf"]])
    except SystemExit as end:
        code = end.code
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 1)


def main() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits: the kernel buries them
    answers = os.fdopen(os.dup(1), "w")
    while line := sys.stdin.readline():
        child = os.fork()
        if child == 0:
            live(json.loads(line))
        answers.write(json.dumps({"pid": child}) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
