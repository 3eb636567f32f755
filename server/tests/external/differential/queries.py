"""Random queries over what the generator made: every endpoint, every parameter, mistakes too."""

import random
from urllib.parse import quote

from vocabulary import ANNOTATIONS, AUTOCOMPLETE_KEYS, SERVICES, SPAN_NAMES, TAGS

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


class Queries:
    """`orderly` says whether the data can be linked in one way only, and dependencies be asked."""

    def __init__(self, seed, now_us, trace_ids, durations, orderly):
        self.orderly = orderly
        self.random = random.Random(seed)
        self.now_ms = now_us // 1000
        self.trace_ids = trace_ids
        self.durations = durations

    def requests(self, count):
        """`count` paths with their query strings, all to be asked with GET."""
        makers = (
            [self.traces] * 24
            + [self.trace] * 5
            + [self.trace_many] * 4
            + [self.dependencies if self.orderly else self.traces] * 3
            + [self.names] * 4
            + [self.values]
            + [self.mistake] * 6
        )
        fixed = [
            "/api/v2/services",
            "/api/v2/autocompleteKeys",
            "/zipkin/api/v2/services",
            "/api/v2/traces?limit=%D9%A1",  # an Arabic one
            "/api/v2/traces?spanName=a%01b",
            "/api/v2/traces?minDuration=&maxDuration=&endTs=&lookback=",
            "/api/v2/traces?limit=",
            "/api/v2/dependencies?endTs=",
            "/api/v2/traceMany?traceIds=1,2",  # unknown
        ]
        return fixed + [self.random.choice(makers)() for _ in range(count - len(fixed))]

    def chance(self, probability):
        return self.random.random() < probability

    def traces(self):
        parameters = {}
        if self.chance(0.6):
            parameters["serviceName"] = self.cased(SERVICES)
        if self.chance(0.2):
            parameters["remoteServiceName"] = self.cased(SERVICES)
        if self.chance(0.25):
            parameters["spanName"] = self.cased(SPAN_NAMES)
        if self.chance(0.35):
            parameters["annotationQuery"] = self.annotation_query()
        if self.chance(0.3):
            parameters["minDuration"] = self.random.choice(self.durations)
            if self.chance(0.5):
                parameters["maxDuration"] = parameters["minDuration"] * self.random.choice([1, 3, 50])
        parameters |= self.window()
        if self.chance(0.75):
            parameters["limit"] = self.random.choice([1, 2, 10, 50, 500, 10_000])
        if self.chance(0.05):
            parameters[self.random.choice(["serviceName", "spanName", "annotationQuery"])] = ""
        if self.chance(0.03):
            parameters["unknown"] = "1"
        return path("traces", parameters, self.random)

    def window(self):
        """None, or one that ends inside, after or before the data. One that ends "now" must not
        begin among the data: see `Generator`."""
        window = {}
        if self.chance(0.7):
            window["endTs"] = self.now_ms - self.random.choice(
                [0, self.random.randint(0, DAY_MS), self.random.randint(0, DAY_MS), 20 * DAY_MS]
            )
        lookbacks = [1, 60_000, HOUR_MS, DAY_MS, 3 * DAY_MS, 10**12, 9 * 10**12]
        if "endTs" in window:
            lookbacks += [5 * HOUR_MS, 11 * HOUR_MS]
        if self.chance(0.7):
            window["lookback"] = self.random.choice(lookbacks)
        return window

    def cased(self, words):
        word = self.random.choice([*words, "no such word"])
        return word.upper() if self.chance(0.1) else word

    def annotation_query(self):
        parts = []
        for _ in range(self.random.choice([1, 1, 1, 2, 3])):
            key = self.random.choice(sorted(TAGS))
            parts.append(
                self.random.choice(
                    [
                        self.random.choice(ANNOTATIONS),
                        key,
                        f"{key}={self.random.choice(TAGS[key])}",
                        f" {key} = {self.random.choice(TAGS[key])} ",
                        f"{key}=",
                    ]
                )
            )
        return self.random.choice([" and "] * 8 + [" AND ", "  and "]).join(parts)

    def trace(self):
        return "/api/v2/trace/" + quote(self.written_id(), safe="")

    def written_id(self):
        """An id as it was sent, or as one may write it: padded, shortened, spaced, unknown."""
        trace_id = self.random.choice(self.trace_ids)
        ways = [trace_id] * 8 + [
            trace_id.rjust(32, "0"),
            trace_id[-16:],
            trace_id.lstrip("0"),
            f" {trace_id} ",
            "".join(self.random.choices("123456789abcdef", k=16)),
        ]
        return self.random.choice(ways)

    def trace_many(self):
        count = self.random.choice([2, 3, 10, 40])
        ids = [self.written_id().strip() for _ in range(count)]
        return path("traceMany", {"traceIds": ",".join(dict.fromkeys(ids))}, self.random)

    def dependencies(self):
        """Not from before 1970: see the row on the window of dependencies."""
        parameters = {"endTs": self.now_ms} | self.window()
        parameters["lookback"] = min(parameters.get("lookback", DAY_MS), 10**12)
        return path("dependencies", parameters, self.random)

    def names(self):
        endpoint = self.random.choice(["spans", "remoteServices"])
        return path(endpoint, {"serviceName": self.cased(SERVICES)}, self.random)

    def values(self):
        key = self.random.choice([*AUTOCOMPLETE_KEYS, *AUTOCOMPLETE_KEYS, "http.path", "none"])
        return path("autocompleteValues", {"key": key}, self.random)

    def mistake(self):
        endpoint = self.random.choice(["traces", "traces", "dependencies"])
        numbers = ["0", "-1", "abc", "", "1.5", " 1", "+1", "9" * 30]
        parameter = self.random.choice(["endTs", "lookback", "limit", "minDuration", "maxDuration"])
        value = self.random.choice(numbers)
        known = quote(self.random.choice(self.trace_ids))
        nothing_there_ms = self.now_ms - 20 * DAY_MS  # a mistaken number may be a good one
        return self.random.choice(
            [
                f"/api/v2/{endpoint}?{parameter}={quote(value)}",
                f"/api/v2/{endpoint}?endTs={nothing_there_ms}&{parameter}={quote(value)}",
                "/api/v2/traces?minDuration=10&maxDuration=5",
                "/api/v2/traces?maxDuration=5",
                "/api/v2/traces?limit=5&limit=abc",
                "/api/v2/dependencies",
                "/api/v2/spans",
                "/api/v2/spans?serviceName=",
                "/api/v2/spans?servicename=frontend",
                "/api/v2/remoteServices",
                "/api/v2/remoteServices?serviceName=",
                "/api/v2/autocompleteValues",
                "/api/v2/autocompleteValues?key=",
                "/api/v2/traceMany",
                "/api/v2/traceMany?traceIds=",
                "/api/v2/traceMany?traceIds=,",
                f"/api/v2/traceMany?traceIds={known}",
                f"/api/v2/traceMany?traceIds={known},{known}",
                f"/api/v2/traceMany?traceIds={known},xyz",
                f"/api/v2/traceMany?traceIds={known},",
                f"/api/v2/trace/{known.upper()}G",
                "/api/v2/trace/0",
                "/api/v2/trace/" + "0" * 32,
                "/api/v2/trace/" + "a" * 33,
                "/api/v2/trace/0x1",
                "/api/v2/trace/ABCDEF",
                "/api/v2/trace/%20",
                "/api/v2/trace/",
                "/api/v2/trace",
                "/api/v2/",
                "/api/v1/traces",
                "/api/v1/services",
                "/api/v2/unknown",
                "/zipkin/api/v2/unknown",
            ]
        )


def path(endpoint, parameters, randomness):
    """The parameters in any order, blanks as `+` or `%20`, by either of the two base paths."""
    pairs = list(parameters.items())
    randomness.shuffle(pairs)
    blank = randomness.choice(["+", "%20"])
    query = "&".join(f"{name}={quote(str(value), safe='').replace('%20', blank)}" for name, value in pairs)
    base = randomness.choice(["/api/v2/"] * 9 + ["/zipkin/api/v2/"])
    return base + endpoint + ("?" + query if query else "")
