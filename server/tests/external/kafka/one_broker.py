"""A million spans wait on one broker, in every format, among records that are none; then a server reads them.

Usage: one_broker.py PRODUCT STORAGE [--spans COUNT]

Held to: the lag is back at zero in time; every span is found by its trace, once and as it was sent;
what was unreadable is counted and in the dead letters, byte for byte; nothing is read again after a stop.
"""

import argparse
import subprocess
import time
from collections import Counter

from confluent_kafka import Consumer, TopicPartition

import cluster
import messages
import stored
from disturbances import KINDS, Disturbances
from producer import PacedProducer
from stage import Wrong, await_true, require, run

import servers

TOPIC, DEAD_LETTERS, GROUP = "spans", "dead-letters", "tracehound-test"
PARTITIONS = 4
# Zipkin's server keeps them in memory, at several kilobytes a span.
SPANS = {"tracehound": 1_000_000, "zipkin": 100_000}
SENDER_ENCODINGS = ("json", "proto3", "thrift")
SENDER_SHARE = 0.02
SENDER_MAX_S = 120
LAG_MAX_S = 30
SETTLED_MAX_S = 30
READ_MAX_S = 10


def produce(kafka, spans, disturbances):
    """Both producers at once; answers how many records there are."""
    each = int(spans * SENDER_SHARE) // messages.BLOCK_SPANS * messages.BLOCK_SPANS
    plain = spans - each * len(SENDER_ENCODINGS)
    began = time.monotonic()
    sender = subprocess.Popen(
        ["java", *cluster.JVM, cluster.BROKER_LOG, "-cp", cluster.CLASSES, "tracehound.kafka.Reporting"]
        + [kafka.bootstrap, TOPIC, str(plain), str(each)]
        + [str(messages.BEGIN_US), str(messages.SPAN_EVERY_US)]
    )
    producer = PacedProducer(kafka.bootstrap, TOPIC, disturbances.among(messages.records(plain)))
    producer.allow(plain)
    producer.start()
    producer.finish()
    require(sender.wait(SENDER_MAX_S) == 0, "zipkin-reporter's sender could not send")
    records = sum(kafka.end_offsets(TOPIC).values())
    took = time.monotonic() - began
    print(f"  {spans} spans in {records} records wait after {took:.1f} s")

    def name_of(span):
        if span < plain:
            return messages.plain_name_of(span)
        return "sender-" + SENDER_ENCODINGS[(span - plain) // each]

    return records, name_of


def options(product, kafka):
    options = {
        "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap,
        "KAFKA_TOPIC": TOPIC,
        "KAFKA_GROUP_ID": GROUP,
        "KAFKA_STREAMS": "2",
        "MEM_MAX_SPANS": "5000000",
    }
    if product == "tracehound":
        options["KAFKA_DEAD_LETTER_TOPIC"] = DEAD_LETTERS
    return options


def read_all(kafka, topic):
    """Values of every record of a topic."""
    consumer = Consumer(
        {"bootstrap.servers": kafka.bootstrap, "group.id": "reader", "enable.auto.commit": False},
        logger=cluster.silent,
    )
    ends = kafka.end_offsets(topic)
    consumer.assign([TopicPartition(topic, partition, 0) for partition in ends])
    values = []
    while len(values) < sum(ends.values()):
        record = consumer.poll(READ_MAX_S)
        if record is None or record.error():
            raise Wrong(f"{len(values)} records of {topic} could be read, of {ends}")
        values.append(record.value())
    consumer.close()
    return values


def nothing_in(values, disturbances):
    """How many records have no value, and how many an empty one.

    What is in the topic counts: zipkin-reporter may send a list of no spans when it is flushed, and in proto3
    that is no bytes.
    """
    nulls, empties = values.count(None), values.count(b"")
    require(nulls == disturbances.counts["null"], f"{nulls} records without a value are in the topic")
    require(empties >= disturbances.counts["empty"], f"only {empties} empty records are in the topic")
    return nulls, empties


def require_counted(kafka, server, records, spans, disturbances):
    """What the server says of itself agrees with what was sent."""
    counts = disturbances.counts
    nulls, empties = nothing_in(read_all(kafka, TOPIC), disturbances)
    expected = {
        'zipkin_collector_messages_total{transport="kafka"}': records,
        'zipkin_collector_messages_dropped_total{transport="kafka"}': counts["unreadable"],
        'zipkin_collector_spans_total{transport="kafka"}': spans,
        'zipkin_collector_spans_dropped_total{transport="kafka"}': 0,
        'tracehound_kafka_skipped_total{value="null"}': nulls,
        'tracehound_kafka_skipped_total{value="empty"}': empties,
        "tracehound_kafka_dead_lettered_total": counts["unreadable"],
        "tracehound_kafka_put_aside_total": 0,
    }
    figures = stored.metrics(server.base)
    for name, value in expected.items():
        require(figures[name] == value, f"{name} is {figures[name]}, not {value}")
    in_store = stored.counted(server.base)
    require(in_store == spans, f"the store counts {in_store} spans, not {spans}")
    lags = [f'tracehound_kafka_lag{{topic="{TOPIC}",partition="{p}"}}' for p in range(PARTITIONS)]

    def settled():
        figures = stored.metrics(server.base)
        assigned = figures["tracehound_kafka_assigned_partitions"] == PARTITIONS
        no_lag = all(figures.get(lag) == 0 for lag in lags) and figures["tracehound_kafka_lag_messages"] == 0
        return assigned and no_lag

    # What librdkafka tells comes every two seconds, and a partition that goes from one stream of the
    # server to the other is nobody's between two heartbeats: a million spans are read in less.
    await_true(settled, SETTLED_MAX_S, "the server has no lag and reads every partition")
    health = stored.kafka_health(server.base)
    partitions = [f"{TOPIC}-{partition}" for partition in range(PARTITIONS)]
    told = {"assigned": sorted(health["assigned"]), "lag": health["lag"], "paused": health["paused"]}
    require(told == {"assigned": partitions, "lag": 0, "paused": False}, f"health says {health}")


def check_dead_letters(kafka, disturbances):
    letters = Counter(read_all(kafka, DEAD_LETTERS))
    require(
        letters == disturbances.unreadable,
        f"dead letters too many: {letters - disturbances.unreadable}, "
        f"missing: {disturbances.unreadable - letters}",
    )
    print(f"  {letters.total()} unreadable records are in the dead letters, byte for byte")


def check(product, storage, spans, directory):
    # Zipkin's consumer ends at the first null.
    kinds = KINDS if product == "tracehound" else tuple(kind for kind in KINDS if kind != "null")
    disturbances = Disturbances(kinds)
    with cluster.running(directory, brokers=1) as kafka:
        kafka.create_topics(**{TOPIC: PARTITIONS, DEAD_LETTERS: 1})
        records, name_of = produce(kafka, spans, disturbances)
        server = servers.Instance(product, storage, directory, **options(product, kafka))
        with servers.stopped_after(server):
            began = time.monotonic()
            server.start()
            kafka.await_lag_zero(GROUP, TOPIC, LAG_MAX_S)
            took = time.monotonic() - began
            print(f"  lag zero {took:.1f} s after the start of the server: {spans / took:,.0f} spans/s")
            require(took <= LAG_MAX_S, f"a lag of {spans} spans takes more than {LAG_MAX_S} s")
            found = stored.Found(spans, name_of)
            time.sleep(servers.SETTLE_S[product])
            found.read(server.base)
            found.require_all()
            print(f"  every span is found, once and as sent ({time.monotonic() - began:.1f} s)")
            if product == "tracehound":
                require_counted(kafka, server, records, spans, disturbances)
                check_dead_letters(kafka, disturbances)
                check_stop(kafka, server)
            servers.require_unharmed(server.process, server.output)


def check_stop(kafka, server):
    """A server that is asked to stop commits what it has: the next one begins where it was."""
    server.stop()
    server.start()
    require(kafka.lag(GROUP, TOPIC) == 0, "a stop moved offsets back")
    figures = stored.metrics(server.base)
    again = figures['zipkin_collector_messages_total{transport="kafka"}']
    require(again == 0, f"{again} messages are read again after a stop")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("product")
    parser.add_argument("storage")
    parser.add_argument("--spans", type=int)
    arguments = parser.parse_args()
    product, spans = arguments.product, arguments.spans or SPANS[arguments.product]
    run(lambda directory: check(product, arguments.storage, spans, directory))


if __name__ == "__main__":
    main()
