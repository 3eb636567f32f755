"""A way to a server of others that can be cut and fall silent."""

import selectors
import socket
import threading

from behind_spool import await_true, outage

# What becomes of what is sent by it: it is handed on; connections are cut, old ones and new ones; nothing arrives, neither
# here nor there. What was once silent stays so, and is never closed there: nobody there knows that it has ended.
OPEN, CUT, SILENT = "open", "cut", "silent"
CHUNK = 1 << 16
LOOK_EVERY_S = 0.05


class Relay:
    """Listens on a port of its own, and hands on what comes to a port that is not there yet."""

    def __init__(self, port):
        self.mode = OPEN
        self.there = port
        self.lost = []
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                here, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.carry, args=(here,), daemon=True).start()

    def carry(self, here):
        """One connection, until one of both ends it."""
        with here:
            if self.mode == CUT:
                return
            try:
                there = socket.create_connection(("127.0.0.1", self.there))
            except OSError:
                return
            with selectors.DefaultSelector() as ready:
                ready.register(here, selectors.EVENT_READ, there)
                ready.register(there, selectors.EVENT_READ, here)
                if self.hand_on(ready):
                    there.close()
                else:
                    self.lost.append(there)

    def hand_on(self, ready):
        """Whether each side may be told that the other has ended it."""
        is_lost = False
        while self.mode != CUT:
            is_lost = is_lost or self.mode == SILENT
            for key, _ in ready.select(LOOK_EVERY_S):
                try:
                    received = key.fileobj.recv(CHUNK)
                    if not received:
                        return not is_lost
                    if not is_lost:
                        key.data.sendall(received)
                except OSError:
                    return not is_lost
        return not is_lost

    def close(self):
        self.listener.close()
        for there in self.lost:
            there.close()


def disturb(server, relay, said):
    """Cuts it off in both ways: health tells, and what waits is delivered when it can be again. `said` is what health says of
    each."""
    for mode in (CUT, SILENT):
        relay.mode = mode
        await_true(lambda: tells(server, said[mode]), f"health does not tell of a way that is {mode}")
        relay.mode = OPEN
        await_true(lambda: not outage(server), f"spans wait where the way was {mode}")
    print("  the way was cut and fell silent under load, and health told each")


def tells(server, said):
    told = outage(server)
    return told and said in told
