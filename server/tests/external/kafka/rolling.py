"""A million spans go through three brokers while everything around them is stopped, killed or full.

Usage: rolling.py STORAGE [--spans COUNT] [--outage SECONDS]

1. Two more servers join the group and leave it, the first is killed ten times, and the brokers are
   patched one after the other, all at the same time.
2. The disk of the one server that is left is full for a minute.

Held to: every span is found afterwards. No store answers a span twice. The lag is back at zero in time.
A span may be in two stores, though: a server that is killed between storing and committing has it, and
so has the one that reads the record again. How many that are is printed.
"""

import argparse
import contextlib
import math
import time
from concurrent.futures import ThreadPoolExecutor

import cluster
import messages
import small_disk
import stage
import stored
from disturbances import Disturbances
from producer import PacedProducer
from stage import await_true, require

import servers

TOPIC, GROUP = "spans", "tracehound-test"
PARTITIONS = 6
KILLS = 10
TAKEN_MAX_S = 60
LAG_MAX_S = 30

# The first part may send this share of all spans, at a pace that falls: half of what is left in so
# long. However slow the machine, there is something to read at every kill.
FIRST_SHARE = 0.8
HALF_SENT_S = 40

DISK_MEBIBYTES = 1024
REFUSED_MAX_S = 60
TOLD_MAX_S = 10

# What the other two servers do before which kill of the first.
COMING_AND_GOING = {
    1: ("second", "start"),
    2: ("third", "start"),
    4: ("second", "stop"),
    6: ("second", "start"),
    7: ("third", "kill"),
    8: ("third", "start"),
}


def options(kafka):
    return {
        "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap,
        "KAFKA_TOPIC": TOPIC,
        "KAFKA_GROUP_ID": GROUP,
        # A killed member is missed soon.
        "KAFKA_OVERRIDES_SESSION_TIMEOUT_MS": "3000",
        "KAFKA_OVERRIDES_HEARTBEAT_INTERVAL_MS": "500",
    }


def taken(server):
    """Spans that a server has read since it was started."""
    figures = stored.metrics(server.base)
    return figures.get('zipkin_collector_spans_total{transport="kafka"}', 0)


def kill_and_start(servers_by_name):
    """Each kill hits a server that is reading."""
    first = servers_by_name["first"]
    for kill in range(KILLS):
        if kill in COMING_AND_GOING:
            name, what = COMING_AND_GOING[kill]
            getattr(servers_by_name[name], what)()
        await_true(lambda: taken(first) > 0, TAKEN_MAX_S, f"nothing was read before kill {kill + 1}")
        first.kill()
        first.start()
    servers_by_name["second"].stop()
    servers_by_name["third"].stop()


def patch_brokers(kafka):
    for broker in kafka.brokers:
        kafka.patch(broker)


def meanwhile(*tasks):
    """Runs them at the same time; the first failure is raised once all have ended."""
    with ThreadPoolExecutor() as pool:
        running = [pool.submit(*task) for task in tasks]
    for task in running:
        task.result()


def fill_disk(kafka, server, disk, seconds):
    """No room for a while: the server must wait and say so."""

    def refused():
        return stored.metrics(server.base)["tracehound_journal_refused_total"]

    before = refused()
    disk.fill()
    await_true(lambda: refused() > before, REFUSED_MAX_S, "the disk is full, but nothing was refused")
    await_true(
        lambda: stored.kafka_health(server.base)["paused"], TOLD_MAX_S, "health does not tell of a pause"
    )
    began, lag = time.monotonic(), kafka.lag(GROUP, TOPIC)
    while time.monotonic() - began < seconds:
        time.sleep(1)
        disk.fill()
    waiting = kafka.lag(GROUP, TOPIC)
    require(waiting > lag, f"the disk is full, but the lag went from {lag} to {waiting}")
    ended = server.process.poll()
    require(ended is None, f"the server ended with status {ended} when its disk was full")
    require(stored.kafka_health(server.base)["paused"], "reading went on while the disk was full")
    disk.free()
    print(f"  the disk was full for {seconds} s; {waiting} records waited")


def read_back(servers_by_name, found):
    """From servers that are started again, so that only what is on disk counts."""
    for name, server in servers_by_name.items():
        server.stop()
        server.environment.pop("KAFKA_BOOTSTRAP_SERVERS")
        server.start()
        distinct = found.read(server.base)
        again = stored.counted(server.base) - distinct
        print(f"  the {name} server has {distinct} spans; {again} of them it was given twice")
        server.stop()
    in_two = found.require_all()
    print(f"  every span is found; {in_two} are in two stores")


@contextlib.contextmanager
def servers_in(directory, storage, kafka, disk):
    """Three of one group, none of them running yet, by name; the first has its store on `disk`."""
    stores = {"first": disk.path, "second": directory / "second", "third": directory / "third"}
    members = {}
    for name, store in stores.items():
        own = directory / name
        own.mkdir()
        settings = {**options(kafka), "STORAGE_PATH": str(store / "store")}
        members[name] = servers.Instance("tracehound", storage, own, **settings)
    try:
        yield members
        for server in members.values():
            require_no_panic(server)
    except BaseException:
        for server in members.values():
            server.show_output()
        raise
    finally:
        for server in members.values():
            server.stop()


def check(storage, spans, outage_s, directory):
    with (
        cluster.running(directory, brokers=3) as kafka,
        small_disk.mounted(directory / "disk", DISK_MEBIBYTES) as disk,
        servers_in(directory, storage, kafka, disk) as members,
    ):
        kafka.create_topics(**{TOPIC: PARTITIONS})
        records = Disturbances().among(messages.records(spans))
        producer = PacedProducer(kafka.bootstrap, TOPIC, records)
        producer.start()
        run(kafka, members, producer, disk, spans, outage_s)
        read_back(members, stored.Found(spans, messages.plain_name_of))


def run(kafka, members, producer, disk, spans, outage_s):
    began = time.monotonic()

    def say(what):
        print(f"  {time.monotonic() - began:5.1f} s: {what}", flush=True)

    first_part = int(spans * FIRST_SHARE)
    producer.allow(first_part, lambda left: left * math.log(2) / HALF_SENT_S)
    members["first"].start()
    meanwhile((kill_and_start, members), (patch_brokers, kafka))
    say(f"{KILLS} kills, {len(kafka.brokers)} brokers patched, {producer.spans} spans sent")
    during_outage = (spans - producer.spans) / outage_s
    producer.allow(spans, lambda left: during_outage)
    if disk.is_mounted:
        fill_disk(kafka, members["first"], disk, outage_s)
    else:
        say("SKIPPED: no small disk can be mounted here, so none was filled")
    producer.allow(spans)
    producer.finish()
    say(f"all {spans} spans sent")
    took = kafka.await_lag_zero(GROUP, TOPIC, LAG_MAX_S)
    say(f"lag zero {took:.1f} s later")
    if disk.is_mounted:
        paused_s = stored.metrics(members["first"].base)["tracehound_kafka_paused_seconds_total"]
        require(paused_s >= outage_s, f"a pause of {paused_s} s is counted, not of {outage_s} s")
        require(not stored.kafka_health(members["first"].base)["paused"], "reading is still paused")


def require_no_panic(server):
    panics = [line for line in server.output.read_text(errors="replace").splitlines() if "panicked" in line]
    require(not panics, f"the server panicked: {panics[:3]}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("storage")
    parser.add_argument("--spans", type=int, default=1_000_000)
    parser.add_argument("--outage", type=int, default=60, help="seconds that the disk is full")
    arguments = parser.parse_args()
    stage.run(lambda directory: check(arguments.storage, arguments.spans, arguments.outage, directory))


if __name__ == "__main__":
    main()
