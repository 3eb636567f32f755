"""Records that are no spans, in between those that are."""

from collections import Counter

from messages import unreadable

EVERY_RECORDS = 50
# Kinds in turn; half of them are unreadable, each in another way.
KINDS = ("null", "unreadable", "empty", "unreadable")


class Disturbances:
    """Puts them between records and remembers what they were."""

    def __init__(self, kinds=KINDS):
        self.kinds = kinds
        self.counts = Counter()
        self.unreadable = Counter()

    def among(self, records):
        for number, record in enumerate(records):
            if number % EVERY_RECORDS == 0:
                yield self.next(number // EVERY_RECORDS), 0
            yield record

    def next(self, number):
        kind = self.kinds[number % len(self.kinds)]
        self.counts[kind] += 1
        if kind == "null":
            return None
        if kind == "empty":
            return b""
        value = unreadable(number)
        self.unreadable[value] += 1
        return value
