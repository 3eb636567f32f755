"""The words that random spans are made of and random queries ask for.

A third of them are what a server is likely to get wrong: case that folds oddly, characters that
need escaping in JSON, in a query string or in an annotation query, and lengths past common limits.
"""

SERVICES = [
    "frontend",
    "backend",
    "cart",
    "users",
    "inventory",
    "mysql",
    "Mixed-Case",
    "käse ÄÖÜ",
    "İstanbul",
    "ΟΔΥΣΣΕΥΣ",
    "сервис",
    "dog-🐕",
    'quo"te',
    "back\\slash",
    "a/b?c&d=e+f%20g#h",
    " blank around ",
    "tab\tnewline\n",
    "line\u2028separator",
    "long-" + "x" * 300,
]

SPAN_NAMES = [
    "get",
    "post",
    "get /users/{id}",
    "select",
    "GET /Upper",
    "unknown",
    "all",
    "ß and ẞ",
    "名前",
    "say \"hi\" \\ 'there'",
    "<script>alert(1)</script>",
    "control\u0001\u001f\u007f",
    "n" * 1500,
]

ANNOTATIONS = [
    "cache.miss",
    "cache.hit",
    "error",
    "wire send",
    "retry and again",
    "a=b",
    "ws",
    "Ünïcode ✓",
    "multi\nline",
    "v" * 600,
]

TAGS = {
    "http.method": ["GET", "POST", "get", "DELETE"],
    "http.path": ["/", "/users/7", "/a b?c=d&e", "/käse"],
    "http.status_code": ["200", "404", "500"],
    "error": ["", "true", "503", "connection refused"],
    "environment": ["staging", "production", "Production", ""],
    "sql.query": ["select 1 and 2", 'insert into "t" values (\'ä\')', "x" * 700],
    "cache.hit": ["", "1"],
    "empty": [""],
    "key with blanks": ["value with blanks"],
    "emoji 🐕": ["🐕🐈", "\u0000"],
    "k=v": ["a=b=c"],
}

AUTOCOMPLETE_KEYS = ["environment", "http.method", "emoji 🐕"]

IPV4 = ["127.0.0.1", "10.1.2.3", "192.168.99.101"]
IPV6 = ["::1", "2001:db8::c001", "2001:0DB8:0:0:0:0:0:C002"]
