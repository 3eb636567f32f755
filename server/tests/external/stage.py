"""What the stages have in common: how they fail, and a directory that goes when they end."""

import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

LOOK_EVERY_S = 0.1


class Wrong(Exception):
    """The server is not what it is held to, or the test could not be done."""


def require(condition, message):
    if not condition:
        raise Wrong(message)


def await_true(condition, max_s, otherwise):
    deadline = time.monotonic() + max_s
    while not condition():
        require(time.monotonic() < deadline, f"{otherwise} within {max_s} s")
        time.sleep(LOOK_EVERY_S)


def run(check):
    """Calls `check` with an empty directory; what it started ends with it, also where time is out."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("WRONG: out of time"))
    directory = Path(tempfile.mkdtemp(prefix="tracehound-external-"))
    try:
        check(directory)
    except Wrong as wrong:
        sys.exit(f"WRONG: {wrong}")
    finally:
        shutil.rmtree(directory)
