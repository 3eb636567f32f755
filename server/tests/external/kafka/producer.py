"""A plain producer that sends records at a pace, from a thread of its own."""

import threading
import time

from confluent_kafka import Producer

import cluster
from stage import Wrong

FLUSH_MAX_S = 120
QUEUE_WAIT_S = 0.05
CATCH_UP_S = 1.0


class PacedProducer(threading.Thread):
    """Sends `records`, pairs of a value and how many spans it has; a value may be None.

    Nothing is sent before `allow`. The brokers acknowledge every record with all replicas.
    """

    def __init__(self, bootstrap, topic, records):
        super().__init__(name="producer", daemon=True)
        self.topic = topic
        self.records = records
        self.spans = 0
        self.count = 0
        self.failure = None
        self.limit = 0
        self.pace = None
        self.due = 0
        self.allowed = threading.Condition()
        self.producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "acks": "all",
                "enable.idempotence": True,
                "linger.ms": 20,
                "batch.size": 1_000_000,
                "queue.buffering.max.kbytes": 65_536,
            },
            logger=cluster.silent,
        )

    def allow(self, limit, pace=None):
        """Goes on up to `limit` spans in all, as fast as it can, or at a pace: spans a second, of how
        many are left.
        """
        with self.allowed:
            self.limit, self.pace = limit, pace
            self.allowed.notify()

    def run(self):
        try:
            for value, spans in self.records:
                self.await_turn(spans)
                self.send(value)
                self.spans += spans
                self.count += 1
            if left := self.producer.flush(FLUSH_MAX_S):
                raise Wrong(f"{left} records were not delivered in {FLUSH_MAX_S} s")
        except Exception as error:
            self.failure = error

    def await_turn(self, spans):
        with self.allowed:
            while self.spans >= self.limit:
                # What is in the client's queue is not sent yet.
                self.producer.poll(0)
                self.allowed.wait(QUEUE_WAIT_S)
            pace, left = self.pace, self.limit - self.spans
        if pace is None:
            return
        # Time that was lost to a broker is not made up for at once.
        self.due = max(self.due, time.monotonic() - CATCH_UP_S) + spans / pace(left)
        while (wait := self.due - time.monotonic()) > 0:
            self.producer.poll(wait)

    def send(self, value):
        while True:
            try:
                self.producer.produce(self.topic, value, on_delivery=self.delivered)
                self.producer.poll(0)
                return
            except BufferError:
                self.producer.poll(QUEUE_WAIT_S)

    def delivered(self, error, _record):
        if error is not None:
            self.failure = Wrong(f"a record was not delivered: {error}")

    def finish(self):
        """Waits until all is delivered."""
        self.join()
        if self.failure is not None:
            raise self.failure
