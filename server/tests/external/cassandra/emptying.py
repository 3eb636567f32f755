"""Becomes a command once the tables of a keyspace are empty: to create others takes many times as long.

Usage: emptying.py PORT KEYSPACE COMMAND…
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import node

TABLES = "SELECT table_name FROM system_schema.tables WHERE keyspace_name = %s"


def main():
    port, keyspace, *command = sys.argv[1:]
    with node.client(int(port)) as session:
        tables = [row[0] for row in session.execute(TABLES, [keyspace])]
        emptied = [session.execute_async(f"TRUNCATE {keyspace}.{table}", timeout=node.ASKED_MAX_S) for table in tables]
        for each in emptied:
            each.result()
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
