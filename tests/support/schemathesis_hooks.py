"""What OpenAPI has no words for, told to schemathesis: which parameters, each of them right, are refused together.

Only requests that are meant to be right are changed; wrong ones are sent as they are.
"""

import schemathesis

# Of each pair, the first must be below the second, or there can be only one.
PAIRS = [
    ("since", "until"),
    ("from", "at"),
    ("start", "end"),
    ("minDuration", "maxDuration"),
    ("query.durationMin", "query.durationMax"),
]

# Both are required, and the first must not be later.
FIRST, LAST = "query.startTimeMin", "query.startTimeMax"


@schemathesis.serializer("application/x-ndjson")
def ndjson(context, value):
    """Lines of JSON, or whatever text was made up."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")


@schemathesis.hook
def map_case(context, case):
    # Events have no end unless that is asked for.
    if case.path.endswith("/api/v1/events") and case.method == "GET":
        case.query = {**(case.query or {}), "follow": "false"}
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return case
    # The headers of a run have a syntax, and a line is needed: the tests of the intake send them, right and wrong.
    if case.method == "POST" and case.path.endswith("/api/v1/events"):
        for name in [name for name in case.headers or {} if name.lower().startswith("tailspan-")]:
            del case.headers[name]
        case.headers = {**(case.headers or {}), "Tailspan-Run": "5fb3d16f-f9e3-4142-a37d-c727bd6ab70f"}
        if not (isinstance(case.body, (str, bytes)) and case.body.strip()):
            case.body = "{}"
    if case.method == "POST" and isinstance(case.body, dict):
        case.body = opened(case.body)
    if not case.query:
        return case
    # A cursor is of one list in one order, so none can be made up.
    case.query.pop("cursor", None)
    for first, second in PAIRS:
        if first in case.query:
            case.query.pop(second, None)
    if FIRST in case.query and LAST in case.query:
        case.query[LAST] = "9999-12-31T23:59:59Z"
    # A question to search has a syntax: a phrase has its closing quote, an expression can be compiled, and there is a word.
    if isinstance(case.query.get("q"), str) and case.path.endswith(("/search", "/replay")):
        case.query["q"] = question(case.query["q"])
    # An empty value counts as not given.
    if case.query.get("path") == "":
        case.query["path"] = "x"
    return case


def question(text):
    """A question that can be read."""
    words = text.replace('"', " ").replace("/", " ")[:100]
    return words if words.strip() else "word"


def opened(move):
    """A move that opens a cursor: no cursor of an earlier answer can be made up."""
    to = move.get("to")
    if isinstance(to, dict) and "text" in to:
        to = {"text": question(to["text"])}
    return {"action": "open"} | ({"to": to} if isinstance(to, dict) else {})
