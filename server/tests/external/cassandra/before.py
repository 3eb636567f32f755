"""Holds the storage to its contract on the release of Cassandra before the newest.

Usage: before.py CONTRACT     the program that does so
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import stage
from node import BUILT_BEFORE, JVM_BEFORE
from run import contract, running


def run(program, directory):
    with running(directory, directory, JVM_BEFORE, BUILT_BEFORE) as node:
        node.start()
        contract(program, node)


if __name__ == "__main__":
    (program,) = sys.argv[1:]
    stage.run(lambda directory: run(program, directory))
