"""What a cluster does to a server before it, and what stands between them: nothing that was acknowledged is lost."""

import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import behind_spool
import gateway as gateways
import lists
import servers
import stored
from behind_spool import asked, await_true, outage, post, waiting
from gateway import Gateway
from stage import require

USER, PASSWORD = "zipkin", "what-nobody-guesses"
PIPELINE = "as-it-is"
# Shorter than a gateway is slow, longer than a busy machine is.
TIMEOUT_MS = "5000"
KILLS = 2
OUTAGE_S = 1
# Lists are posted for as long as all that lasts.
POST_PAUSE_S = 0.15
# Bytes that are free when a disk is nearly full, fuller and full, and when it is beyond that.
WATERMARKS = {"low": "500mb", "high": "450mb", "flood_stage": "400mb"}
LEFT_FREE = 250 << 20
DISK_LOOKED_AT_EVERY = "10s"
DAY_US = 86_400_000_000


def instance(directory, hosts, **options):
    directory.mkdir()
    settings = {
        "ES_HOSTS": hosts,
        "ES_INDEX": directory.name,
        "ES_INDEX_SHARDS": "1",
        "ES_INDEX_REPLICAS": "0",
        **options,
    }
    return servers.Instance("tracehound", "elasticsearch", directory, **settings)


def survive(cluster, disk, directory, spans):
    gateway = Gateway(cluster, USER, PASSWORD)
    server = instance(
        directory / "faults",
        f"127.0.0.1:{gateway.port}",
        ES_USERNAME=USER,
        ES_PASSWORD=PASSWORD,
        ES_PIPELINE=PIPELINE,
        ES_TIMEOUT=TIMEOUT_MS,
        ES_ENSURE_TEMPLATES="false",
    )
    try:
        behind_spool.survive(
            server,
            spans,
            lambda body: troubles(server, cluster, gateway, body),
            lambda: disturb(server, cluster, gateway, disk),
            POST_PAUSE_S,
        )
    finally:
        gateway.close()


def troubles(server, cluster, gateway, body):
    """Away, closed, without templates, without its pipeline: told apart, and nothing is lost."""
    server.start()
    require(post(server.base, body, lists.format_of(0)) == 202, "spans are not taken while the cluster is away")
    await_true(lambda: "502" in outage(server), "health does not tell that the cluster is away")
    gateway.let_in(USER, "another")
    cluster.start()
    await_true(lambda: "401" in outage(server), "health does not tell that the password is wrong")
    said = asked(server, "/api/v2/services")
    require("401" in said, f"the answer does not say why: {said}")
    gateway.let_in(USER, PASSWORD)
    await_true(lambda: "ES_ENSURE_TEMPLATES" in outage(server), "health does not tell that there are no templates")
    server.stop()
    server.environment["ES_ENSURE_TEMPLATES"] = "true"
    server.start()
    await_true(lambda: PIPELINE in outage(server), "health does not tell that the pipeline is missing")
    processors = [{"set": {"field": "passed", "value": True}}, {"remove": {"field": "passed"}}]
    cluster.ask("PUT", f"/_ingest/pipeline/{PIPELINE}", {"processors": processors})
    await_true(lambda: waiting(server) == 0, "what waited is not delivered")
    require(PASSWORD not in server.output.read_text(errors="replace"), "the password is in the log")
    print("  away, wrong password, no templates, no pipeline: told, and nothing lost")


def disturb(server, cluster, gateway, disk):
    fill_disk(server, cluster, disk)
    for mode, said in ((gateways.BUSY, "429"), (gateways.CUT, "closed"), (gateways.SLOW, "timed out")):
        gateway.mode = mode
        await_true(lambda: said in outage(server), f"health does not tell of a cluster that is {mode}")
        gateway.mode = gateways.OPEN
        await_true(lambda: not outage(server), f"spans wait where the cluster was {mode}")
    print("  the cluster was busy, cut off and slow under load, and health told each")
    for _ in range(KILLS):
        cluster.stop()
        time.sleep(OUTAGE_S)
        cluster.start()
        time.sleep(OUTAGE_S)
        cluster.kill()
        server.kill()
        server.start()
        cluster.start()
        server.kill()
        server.start()
    print(f"  the cluster was stopped and killed {KILLS} times, the server was killed twice as often")


def fill_disk(server, cluster, disk):
    """Indexes of a disk that is full can only be deleted, until it is not full any more."""
    if not disk.is_mounted:
        print("  NOT TESTED: a full disk of the cluster, since no file system can be mounted here")
        return
    watermarks = {f"cluster.routing.allocation.disk.watermark.{name}": left for name, left in WATERMARKS.items()}
    watch = {
        "cluster.info.update.interval": DISK_LOOKED_AT_EVERY,
        "cluster.routing.allocation.disk.threshold_enabled": True,
        **watermarks,
    }
    cluster.ask("PUT", "/_cluster/settings", {"persistent": watch})
    disk.fill_but(LEFT_FREE)
    await_true(lambda: "flood-stage" in outage(server), "health does not tell that the cluster's disk is full")
    disk.free()
    await_true(lambda: not outage(server), "spans wait after the disk was freed")
    cluster.ask("PUT", "/_cluster/settings", {"persistent": dict.fromkeys(watch)})
    print("  the cluster's disk was full under load")


def documents_apart(cluster, directory):
    """Of one request, a document is stored at once, one later, and one never, because of what its index is like."""
    server = instance(directory / "apart", f"127.0.0.1:{cluster.port}")
    now_us = time.time_ns() // 1000
    taken, waits, refused = (span_at(now_us - days * DAY_US, days) for days in range(3))
    with servers.stopped_after(server):
        server.start()
        require(asked(server, "/api/v2/services") == "[]", "the templates are not there")
        cluster.ask("PUT", index_of(waits), {"settings": {"index.blocks.write": True}})
        mappings = {"properties": {"duration": {"type": "boolean"}}}
        cluster.ask("PUT", index_of(refused), {"mappings": mappings})
        body = json.dumps([taken, waits, refused]).encode()
        require(post(server.base, body, "json_v2") == 202, "spans are not taken")
        await_true(lambda: "blocked" in outage(server), "health does not tell of an index that cannot be written")
        require(found(server, taken) == [taken], "what can be stored waits for what cannot")
        cluster.ask("PUT", f"{index_of(waits)}/_settings", {"index.blocks.write": False})
        await_true(lambda: waiting(server) == 0, "one document holds up the others")
        require(found(server, waits) == [waits], "what was to be stored later is not")
        count = stored.metrics(server.base)["tracehound_spool_refused_spans_total"]
        require(count == 1, f"{count} spans are put aside, not the one that fits no index")
    print("  of one request, a document was stored, one was later, and one was put aside")


def span_at(timestamp, number):
    return {
        "traceId": f"{0x5EED_0000_0000_0000 + number:016x}",
        "id": f"{1 + number:016x}",
        "name": "get",
        "timestamp": timestamp,
        "duration": 7,
        "localEndpoint": {"serviceName": "apart"},
    }


def index_of(span):
    return "/apart-span-" + time.strftime("%Y-%m-%d", time.gmtime(span["timestamp"] // 1_000_000))


def found(server, span):
    return json.loads(asked(server, f"/api/v2/trace/{span['traceId']}"))
