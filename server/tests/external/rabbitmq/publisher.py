"""Publishes persistent messages and keeps each until the broker has confirmed it."""

import threading
import time

import pika

RETRY_S = 0.2


class Publisher(threading.Thread):
    """Publishes `bodies` through whatever happens to the broker: a body that is not confirmed is sent again."""

    def __init__(self, broker, queue, bodies, pause_s=0.0):
        super().__init__(daemon=True)
        self.broker = broker
        self.queue = queue
        self.bodies = bodies
        self.pause_s = pause_s
        self.sent = 0
        self.failure = None

    def run(self):
        try:
            for body in self.bodies:
                self.send(body)
                self.sent += 1
                time.sleep(self.pause_s)
        except BaseException as failure:
            self.failure = failure

    def send(self, body):
        while True:
            try:
                self.channel().basic_publish(
                    "",
                    self.queue,
                    body,
                    pika.BasicProperties(delivery_mode=pika.DeliveryMode.Persistent),
                    mandatory=True,
                )
                return
            except pika.exceptions.AMQPError:
                self.open = None
                time.sleep(RETRY_S)

    open = None

    def channel(self):
        if self.open is None:
            self.open = self.broker.connect().channel()
            self.open.confirm_delivery()
        return self.open

    def finish(self, max_s):
        self.join(max_s)
        if self.is_alive():
            raise TimeoutError(f"only {self.sent} messages were confirmed within {max_s} s")
        if self.failure is not None:
            raise self.failure
