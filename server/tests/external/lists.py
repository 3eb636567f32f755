"""The numbered spans of `messages` in lists of all four formats: what is queued or
posted."""

from messages import BLOCK_SPANS, MOULDS, join, message_of, numbers_of, spans_of, unreadable

FORMATS = ("json_v2", "proto3", "json_v1", "thrift")
UNREADABLE_EVERY = 20


def format_of(message):
    return FORMATS[message % len(FORMATS)]


def name_of(span):
    """Spans are named after the format they are sent in."""
    return format_of(message_of(span))


def bodies(spans):
    """The bodies of messages with the spans below `spans`."""
    for message in range(2 * spans // BLOCK_SPANS):
        mould = MOULDS[format_of(message)]
        yield join(format_of(message), [mould.cast(numbers_of(span)) for span in spans_of(message)])


def among_unreadable(bodies):
    """The same, and in between bodies that are no spans: each with whether it can be read."""
    for number, body in enumerate(bodies):
        if number % UNREADABLE_EVERY == 0:
            yield unreadable(number // UNREADABLE_EVERY), False
        yield body, True
