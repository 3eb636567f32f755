"""Starts a server of others for who measures on it: `serve.py mysql|cassandra|elasticsearch DIRECTORY`.

Unlike in the tests it has the memory and the compilers of a small server that is meant to work. What it keeps is below
DIRECTORY. On standard input come commands, a line each: `start` and `stop`; each is answered by a line of JSON, `start`
by what there is to know of it. It ends with its input.
"""

import json
import subprocess
import sys
from pathlib import Path

here = Path(__file__).resolve().parent


def mysql(directory):
    sys.path.insert(0, str(here / "mysql"))
    from database import PASSWORD, USER, Database

    # A commit is on disk before it is answered, as it comes; the memory of a small database of its own.
    options = ("--bind-address=127.0.0.1", "--innodb-buffer-pool-size=2G", "--skip-log-bin")
    database = Database(directory, options)

    def prepare():
        database.let_in()
        database.ask("CREATE DATABASE IF NOT EXISTS zipkin")
        # It notes how its tables are filled while it runs, but for what it had not noted when it was stopped.
        tables = [table for (table,) in database.ask("SHOW TABLES", "zipkin")]
        if tables:
            database.ask(f"ANALYZE TABLE {', '.join(tables)}", "zipkin")

    settings = {
        "STORAGE_TYPE": "mysql",
        "MYSQL_HOST": "127.0.0.1",
        "MYSQL_TCP_PORT": str(database.port),
        "MYSQL_USER": USER,
        "MYSQL_PASS": PASSWORD,
        "MYSQL_ENSURE_SCHEMA": "true",
    }
    version = subprocess.run(["mariadbd", "--version"], capture_output=True, text=True).stdout
    return database, prepare, settings, database.data, " ".join(version.split()[:3]), " ".join(options)


def cassandra(directory):
    sys.path.insert(0, str(here / "cassandra"))
    from node import BUILT, PASSWORD, USER, Node

    jvm = ("-Xms2g", "-Xmx2g", "-XX:+UseG1GC", "-Djdk.attach.allowAttachSelf=true")
    node = Node(directory, directory, jvm)
    # As Cassandra's own configuration has them.
    usual = {
        "commitlog_segment_size": "32MiB",
        "commitlog_total_space": "2048MiB",
        "memtable_heap_space": "512MiB",
        "memtable_offheap_space": "512MiB",
        "key_cache_size": "100MiB",
        "concurrent_reads": 32,
        "concurrent_writes": 32,
        "concurrent_compactors": 2,
    }
    node.configure(**usual)
    settings = {
        "STORAGE_TYPE": "cassandra3",
        "CASSANDRA_CONTACT_POINTS": f"127.0.0.1:{node.port}",
        "CASSANDRA_USERNAME": USER,
        "CASSANDRA_PASSWORD": PASSWORD,
    }
    told = f"{' '.join(jvm[:3])}, commit log synced every 10 s, {', '.join(f'{name}={value}' for name, value in usual.items())}"
    # Without the commit log, whose files are kept to be written again.
    return node, lambda: None, settings, node.home / "data", jar_version(BUILT, "Cassandra", "cassandra-all"), told


def elasticsearch(directory):
    sys.path.insert(0, str(here / "elasticsearch"))
    from cluster import BUILT, Cluster

    jvm = ("-Xms2g", "-Xmx2g", "-XX:+UseG1GC")
    cluster = Cluster(directory, directory, jvm)
    settings = {
        "STORAGE_TYPE": "elasticsearch",
        "ES_HOSTS": f"http://127.0.0.1:{cluster.port}",
        "ES_INDEX_SHARDS": "1",
        "ES_INDEX_REPLICAS": "0",
    }
    return cluster, lambda: None, settings, cluster.home, jar_version(BUILT, "OpenSearch", "opensearch"), " ".join(jvm)


BACKENDS = {"mysql": mysql, "cassandra": cassandra, "elasticsearch": elasticsearch}


def jar_version(built, product, jar):
    """Of the libraries it is started from."""
    found = sorted((built / "lib").glob(f"{jar}-[0-9]*.jar"))
    return f"{product} {found[0].stem.removeprefix(jar + '-')}" if found else product


def main(backend, directory):
    neighbour, prepare, settings, data, version, configuration = BACKENDS[backend](Path(directory))
    try:
        for line in sys.stdin:
            match line.strip():
                case "start":
                    neighbour.start()
                    prepare()
                    tell(
                        process=neighbour.process.pid,
                        directory=str(data),
                        version=version,
                        configuration=configuration,
                        settings=settings,
                    )
                case "stop":
                    neighbour.stop()
                    tell()
                case command:
                    raise ValueError(f"no command: {command}")
    finally:
        neighbour.kill()


def tell(**what):
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
