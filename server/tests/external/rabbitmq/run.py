"""Spans go through a RabbitMQ queue while the server is killed and the broker restarted.

Usage: run.py STORAGE [--spans COUNT]

1. The server starts while the broker is away, says so in its health, and reads once the broker is there:
   what zipkin-reporter's sender sends.
2. Lists in all formats, and messages that are none, are published; meanwhile the server is killed again
   and again and the broker is restarted.
3. The disk is full for a while.
4. A server reads by TLS if it trusts the broker's certificate, and only then.

Held to: a message is acknowledged only when its spans are stored. Every span is found, once. What is no
list ends in the dead letters, byte for byte. The queue is empty at the end.
"""

import argparse
import json
import subprocess
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path

from broker import Broker
from publisher import Publisher

import lists
import messages
import servers
import small_disk
import stage
import stored
from stage import require

QUEUE, DEAD_LETTERS = "spans", "dead-letters"
POLICY = {"dead-letter-exchange": "", "dead-letter-routing-key": DEAD_LETTERS}
BUILT = Path(__file__).resolve().parents[4] / "target" / "external" / "rabbitmq"
SENDER = ["java", "-cp", f"{BUILT / 'classes'}:{BUILT / 'lib'}/*", "tracehound.rabbitmq.Reporting"]
SENDER_ENCODINGS = ("JSON", "PROTO3", "THRIFT")
SENDER_SPANS = 10 * messages.BLOCK_SPANS
SENDER_MAX_S = 60
CONSUMERS, PREFETCH = 2, 8
KILLS = 5
BROKER_RESTART_BEFORE_KILL = 3
PUBLISHED_MAX_S = 240
AWAITED_MAX_S = 60
PUBLISHER_PAUSE_S = 0.005

DISK_MEBIBYTES = 256
# Soon full, as nothing can be sealed into segments.
JOURNAL_BYTES_MAX = "1MiB"
# Many times what such a journal holds.
FULL_DISK_SHARE = 0.6


def await_true(condition, otherwise):
    stage.await_true(condition, AWAITED_MAX_S, otherwise)


def health(server):
    """The state of the collector; `None` before the server answers."""
    try:
        with urllib.request.urlopen(server.base + "/health", timeout=5) as answer:
            body = answer.read()
    except urllib.error.HTTPError as error:
        body = error.read()
    except (urllib.error.URLError, ConnectionError):
        return None
    details = json.loads(body)["zipkin"]["details"]
    return next(state for name, state in details.items() if name.startswith("RabbitMQCollector"))


def is_trouble_told(server):
    state = health(server)
    return state is not None and state["status"] == "DOWN" and "connect" in state["details"]["error"]


def figure(server, name):
    return stored.metrics(server.base).get(name, 0)


def taken(server):
    return figure(server, 'zipkin_collector_spans_total{transport="rabbitmq"}')


def publish(broker, queue, bodies):
    publisher = Publisher(broker, queue, bodies)
    publisher.start()
    publisher.finish(PUBLISHED_MAX_S)


def read_by_tls(broker, storage, directory):
    uri = f"amqps://guest:guest@localhost:{broker.tls_port}/%2f"
    addresses = {"RABBIT_ADDRESSES": f"localhost:{broker.tls_port}", "RABBIT_USE_SSL": "true"}
    trust = {"SSL_CERT_FILE": str(broker.authority)}
    for name, options, is_trusted in (
        ("uri", {"RABBIT_URI": uri, **trust}, True),
        ("addresses", {**addresses, **trust}, True),
        ("untrusted", addresses, False),
    ):
        (directory / name).mkdir()
        server = servers.Instance("tracehound", storage, directory / name, RABBIT_QUEUE=f"by-{name}", **options)
        try:
            server.launch()
            if is_trusted:
                await_true(lambda: (health(server) or {}).get("status") == "UP", f"{name}: no TLS")
                publish(broker, f"by-{name}", [next(lists.bodies(messages.BLOCK_SPANS))])
                await_true(lambda: taken(server) == messages.MESSAGE_SPANS, f"{name}: nothing is read by TLS")
            else:
                await_true(lambda: is_trouble_told(server), "an unknown certificate is trusted")
                require("certificate" in health(server)["details"]["error"], "health does not say why")
        finally:
            server.stop()


def start_before_broker(server, broker):
    server.launch()
    await_true(lambda: is_trouble_told(server), "health does not tell that the broker is away")
    broker.start()
    await_true(lambda: (health(server) or {}).get("status") == "UP", "the server does not read")
    channel = broker.connect().channel()
    # As the server declared it, or the broker would refuse.
    channel.queue_declare(QUEUE, durable=True)
    channel.queue_declare(DEAD_LETTERS, durable=True)
    channel.connection.close()
    broker.control("set_policy", "dead-letters", f"^{QUEUE}$", json.dumps(POLICY), "--apply-to", "queues")


def report(broker, first):
    """By zipkin-reporter's sender, in each of its encodings. It asks for no confirmation."""
    numbers = (first, SENDER_SPANS, messages.BEGIN_US, messages.SPAN_EVERY_US)
    command = [*SENDER, broker.address, QUEUE, *map(str, numbers)]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=SENDER_MAX_S)
    require(finished.returncode == 0, f"zipkin-reporter's sender could not send: {finished.stderr}")
    await_true(lambda: broker.waiting(QUEUE) == (0, 0), "what zipkin-reporter's sender sent is not taken")


def kill_and_restart(server, broker):
    for kill in range(KILLS):
        if kill == BROKER_RESTART_BEFORE_KILL:
            broker.stop()
            broker.start()
        await_true(lambda: taken(server) > 0, f"nothing was read before kill {kill + 1}")
        server.kill()
        server.start()


def fill_disk(server, broker, disk, bodies):
    """Nothing that is not stored may be acknowledged, and no more than the prefetch may be taken."""
    refused = "tracehound_journal_refused_total"
    await_true(lambda: broker.waiting(QUEUE) == (0, 0), "the queue is not empty before the disk is full")
    disk.fill()
    publish(broker, QUEUE, bodies)
    await_true(lambda: figure(server, refused) > 0, "nothing is refused by a full disk")
    held = CONSUMERS * PREFETCH
    await_true(lambda: broker.waiting(QUEUE)[1] == held, f"the server does not hold {held} messages")
    ready, unacknowledged = broker.waiting(QUEUE)
    print(f"  disk full: {ready} of {len(bodies)} messages wait in the queue, {unacknowledged} are held back")
    require(ready > 0, "the prefetch does not bound what is held back")
    unanswered = figure(server, "tracehound_rabbitmq_unanswered")
    require(unanswered == held, f"the server says that it holds {unanswered} messages, not {held}")
    disk.free()


def dead_letters(broker):
    connection = broker.connect()
    channel = connection.channel()
    letters = Counter()
    while True:
        delivered, _, body = channel.basic_get(DEAD_LETTERS, auto_ack=True)
        if delivered is None:
            connection.close()
            return letters
        letters[body] += 1


def check(server, broker, spans, unreadable):
    await_true(lambda: broker.waiting(QUEUE) == (0, 0), "the queue is not empty")

    def name_of(span):
        if span < spans:
            return lists.name_of(span)
        return "sender-" + SENDER_ENCODINGS[(span - spans) // SENDER_SPANS].lower()

    found = stored.Found(spans + SENDER_SPANS * len(SENDER_ENCODINGS), name_of)
    answered = found.read(server.base)
    found.require_all()
    letters = dead_letters(broker)
    require(set(letters) == set(unreadable), f"dead letters are not what was unreadable: {letters}")
    print(f"  {answered} spans found, {sum(letters.values())} dead letters of {len(unreadable)}")


def run(storage, spans, directory):
    with small_disk.mounted(directory / "disk", DISK_MEBIBYTES) as disk:
        broker = Broker(directory)
        server = servers.Instance(
            "tracehound",
            storage,
            directory / "disk",
            RABBIT_ADDRESSES=f"127.0.0.1:{servers.free_port()},{broker.address}",
            RABBIT_QUEUE=QUEUE,
            RABBIT_CONCURRENCY=str(CONSUMERS),
            RABBIT_PREFETCH=str(PREFETCH),
            STORAGE_JOURNAL_BYTES_MAX=JOURNAL_BYTES_MAX,
        )
        try:
            disturb(server, broker, disk, spans)
            read_by_tls(broker, storage, directory)
        except BaseException:
            server.show_output()
            raise
        finally:
            server.stop()
            broker.close()


def disturb(server, broker, disk, spans):
    start_before_broker(server, broker)
    report(broker, spans)
    bodies = list(lists.bodies(spans))
    last = bodies[int(len(bodies) * (1 - FULL_DISK_SHARE)) :]
    first = bodies[: -len(last)]
    published = list(lists.among_unreadable(first))
    unreadable = [body for body, is_readable in published if not is_readable]
    publisher = Publisher(broker, QUEUE, [body for body, _ in published], PUBLISHER_PAUSE_S)
    publisher.start()
    kill_and_restart(server, broker)
    publisher.finish(PUBLISHED_MAX_S)
    print(f"  {publisher.sent} messages confirmed, {KILLS} kills, the broker restarted once")
    servers.require_unharmed(server.process, server.output)
    if disk.is_mounted:
        fill_disk(server, broker, disk, last)
    else:
        print("  NOT TESTED: a full disk, since no file system can be mounted here")
        publish(broker, QUEUE, last)
    check(server, broker, spans, unreadable)
    require(server.process.poll() is None, "the server ended by itself")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("storage")
    parser.add_argument("--spans", type=int, default=120_000)
    options = parser.parse_args()
    stage.run(lambda directory: run(options.storage, options.spans, directory))


if __name__ == "__main__":
    main()
