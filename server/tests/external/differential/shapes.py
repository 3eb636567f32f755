"""Traces that both servers read alike and link differently, each on purpose.

The random data whose dependencies are compared has none of these, so that one such trace does not
hide everything else in a window. Each is alone in a window of its own, and `case`, which no server
knows, names it for the table of deliberate differences.
"""

MINUTE_MS = 60_000


def span(start_ms, identity, service, **fields):
    return {
        "id": identity,
        "timestamp": start_ms * 1000,
        "duration": 1000,
        "localEndpoint": {"serviceName": service},
        **fields,
    }


def server_half_alone(start_ms):
    """What the backend shares with the frontend came; the frontend's half of it did not."""
    return [
        span(start_ms, "1", "frontend"),
        span(start_ms + 1, "2", "frontend", kind="CLIENT", parentId="1"),
        span(start_ms + 2, "3", "backend", kind="SERVER", shared=True, parentId="2"),
    ]


def contradiction(start_ms):
    """One id at two services, neither of which says it shares it."""
    return [
        span(start_ms, "1", "frontend", kind="CLIENT", remoteEndpoint={"serviceName": "backend"}),
        span(start_ms + 1, "1", "backend"),
    ]


def straggler(start_ms):
    """Only the second call is in the window, which begins after the trace."""
    called = {"kind": "CLIENT", "remoteEndpoint": {"serviceName": "backend"}}
    return [
        span(start_ms - 10 * MINUTE_MS, "1", "frontend", kind="SERVER"),
        span(start_ms, "2", "frontend", parentId="1", **called),
    ]


SHAPES = [server_half_alone, contradiction, straggler]


def cases(now_ms):
    """(spans, path) of each: what to send, and what to ask about it."""
    for number, shape in enumerate(SHAPES, start=1):
        start_ms = now_ms - 40 * 24 * 60 * MINUTE_MS - number * 60 * MINUTE_MS
        trace_id = f"{number}".rjust(16, "c")
        spans = [{"traceId": trace_id, **fields} for fields in shape(start_ms)]
        window = f"endTs={start_ms + MINUTE_MS}&lookback={2 * MINUTE_MS}"
        yield spans, f"/api/v2/dependencies?{window}&case={shape.__name__}"
    # A window from before 1970 begins before the timestamp that spans without one seem to have.
    yield [], "/api/v2/dependencies?endTs=1&lookback=2&case=absent_timestamps"
