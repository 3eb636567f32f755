"""Spans go into an OpenSearch that is away, closed, full, busy, without templates, cut off, stopped and killed.

Usage: run.py CONTRACT ZIPKIN [--spans COUNT] KIT…     ZIPKIN is yes or no

1. The server starts while the cluster is away, then the password is wrong, then templates and then the pipeline are
   missing. Spans are taken all the while, and health tells which of them it is.
2. Lists in all formats are posted; meanwhile the cluster's disk is full, it refuses, is cut off, slow, stopped and
   killed, and the server is killed again and again. Every span is found afterwards, once, as it was sent.
3. Of a request with several documents each has an outcome of its own. Of several hosts one that is away is done
   without; a cluster is spoken to by TLS; a password may change.
4. The battery of `storage` runs on the cluster: CONTRACT is the program. So does Zipkin's own: KIT is its command line.
5. With ZIPKIN, both servers run on one cluster: each finds what the other wrote, and both answer the same.
"""

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import behind_spool
import certificates
import faults
import lists
import servers
import small_disk
import stage
import two_servers
from behind_spool import asked, await_true, outage, post, waiting
from cluster import Cluster
from faults import PASSWORD, USER, instance
from gateway import Gateway
from stage import require

# In memory, since a cluster syncs all that it does.
DISK_MEBIBYTES = 2048


def several_hosts(cluster, directory):
    """One of them is always away."""
    hosts = f"127.0.0.1:{servers.free_port()},127.0.0.1:{cluster.port}"
    server = instance(directory / "hosts", hosts, ES_TEMPLATE_PRIORITY="1")
    with servers.stopped_after(server):
        server.start()
        require(post(server.base, next(lists.bodies(200)), lists.format_of(0)) == 202, "spans are not taken")
        await_true(lambda: waiting(server) == 0, "one host away keeps spans waiting")
        for _ in range(4):
            require(len(asked(server, "/api/v2/services")) > 2, "one host away makes questions fail")
    print("  of two hosts one is away, which nobody notices")


def by_tls(cluster, directory):
    """The server trusts who signed the certificate, if it was told so, and only then."""
    authority, *identity = certificates.create(directory)
    gateway = Gateway(cluster, USER, PASSWORD, identity)
    try:
        for name, options, said in (
            ("trusted", {"ES_SSL_CA_FILE": str(authority)}, "[]"),
            ("untrusted", {}, "certificate"),
            ("anybody", {"ES_SSL_NO_VERIFY": "true"}, "[]"),
        ):
            login = {"ES_USERNAME": USER, "ES_PASSWORD": PASSWORD}
            hosts = f"https://localhost:{gateway.port}"
            server = instance(directory / f"tls-{name}", hosts, **login, **options)
            with servers.stopped_after(server):
                server.start()
                answer = asked(server, "/api/v2/services")
                require(said in answer, f"{name}: {answer}")
    finally:
        gateway.close()
    print("  TLS to whom is trusted, and to nobody else")


def by_file(cluster, directory):
    """Who logs in is in a file, which is mended while the server runs."""
    gateway = Gateway(cluster, USER, PASSWORD)
    login = directory / "login.properties"

    def write(password):
        prefix = "zipkin.storage.elasticsearch"
        login.write_text(f"{prefix}.username={USER}\n{prefix}.password={password}\n")

    write("another")
    options = {"ES_CREDENTIALS_FILE": str(login), "ES_CREDENTIALS_REFRESH_INTERVAL": "1"}
    server = instance(directory / "login", f"127.0.0.1:{gateway.port}", **options)
    try:
        with servers.stopped_after(server):
            server.start()
            require(post(server.base, next(lists.bodies(200)), lists.format_of(0)) == 202, "spans are not taken")
            await_true(lambda: "401" in outage(server), "health does not tell that the password is wrong")
            write(PASSWORD)
            await_true(lambda: waiting(server) == 0, "a password that was mended is not used")
    finally:
        gateway.close()
    print("  who logs in is read from a file, again and again")


def with_zipkin(cluster, directory):
    ours = instance(directory / "two_servers", f"http://127.0.0.1:{cluster.port}")

    def write_job(day_s):
        day = time.strftime("%Y-%m-%d", time.gmtime(day_s))
        link = {"id": "web|db", "parent": "web", "child": "db", "callCount": 20, "errorCount": 3}
        cluster.ask("PUT", f"/two_servers-dependency-{day}/_doc/web%7Cdb?refresh=true", link)

    two_servers.interchange(ours, "elasticsearch", "ES_", directory, write_job)


def batteries(options, cluster):
    behind_spool.contract(options.contract, "--port", str(cluster.port))
    settings = {"ES_HOSTS": f"127.0.0.1:{cluster.port}", "ES_INDEX_SHARDS": "1", "ES_INDEX_REPLICAS": "0"}
    behind_spool.kit(options.kit, settings)


def on(disk, options, directory):
    cluster = Cluster(directory, disk.path)
    try:
        faults.survive(cluster, disk, directory, options.spans)
        faults.documents_apart(cluster, directory)
        several_hosts(cluster, directory)
        by_tls(cluster, directory)
        by_file(cluster, directory)
        batteries(options, cluster)
        if options.zipkin == "yes":
            with_zipkin(cluster, directory)
        else:
            print("  NOT TESTED: Zipkin's own server on the same cluster, which could not be had")
    except BaseException:
        servers.show_last_lines("opensearch", cluster.output)
        raise
    finally:
        cluster.kill()


def run(options, directory):
    with small_disk.mounted(directory / "disk", DISK_MEBIBYTES) as disk:
        on(disk, options, directory)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--spans", type=int, default=40_000)
    parser.add_argument("contract")
    parser.add_argument("zipkin", choices=("yes", "no"))
    parser.add_argument("kit", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    stage.run(lambda directory: run(options, directory))


if __name__ == "__main__":
    main()
