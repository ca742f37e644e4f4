"""What `tailspan stream` would have passed on of the generated days, and what `tailspan statusline` would have told.

A session of a machine on which nobody watches is a run of the workflow that its project is named after. Its stream is made
from the rows of its file, as the client does it: the same ids and times, blocks with provisional usage, and a result.
"""

import datetime as dt
import json
import random

from days import iso

OUTCOMES = [("success", "completed", 90), ("error_max_turns", "max_turns", 5), ("error_during_execution", "error", 3),
            (None, None, 2)]  # None: killed


class Run:
    """The lines of one session's stream, each with the time at which it arrived."""

    def __init__(self, session, dice):
        self.session, self.dice, self.lines = session, dice, []
        self.tokens, self.turns = {}, 0

    def tell(self, at, line):
        mark = {"type": "tailspan", "mark": "at", "at": iso(at)}
        self.lines += [(at, json.dumps(mark)), (at, json.dumps(line, separators=(",", ":")))]

    def row(self, at, row):
        common = {"session_id": self.session, "parent_tool_use_id": None}
        if not self.lines:
            began = at - dt.timedelta(milliseconds=400)
            self.lines.append((began, json.dumps({"type": "tailspan", "mark": "run", "run": self.session, "at": iso(began)})))
            self.tell(began, {"type": "system", "subtype": "init", "session_id": self.session, "cwd": row["cwd"],
                              "model": "default", "tools": [], "uuid": self.uuid()})
        if row["type"] == "assistant":
            self.answer(at, row, common)
        elif row["type"] == "user" and isinstance(row["message"]["content"], list):
            self.tell(at, {"type": "user", "message": row["message"], "uuid": row["uuid"], "timestamp": row["timestamp"],
                           **common})

    def answer(self, at, row, common):
        message = row["message"]
        self.turns += 1
        known = self.tokens.setdefault(message["model"], [0, 0, 0, 0])
        for place, name in enumerate(("input_tokens", "output_tokens", "cache_read_input_tokens",
                                      "cache_creation_input_tokens")):
            known[place] += message["usage"][name]
        first = {**message, "content": [], "stop_reason": None, "usage": {**message["usage"], "output_tokens": 2}}
        waited = round(self.dice.lognormvariate(0, 0.5) * 700)
        self.tell(at - dt.timedelta(milliseconds=200), {
            "type": "stream_event", "event": {"type": "message_start", "message": first}, "uuid": self.uuid(),
            "ttft_ms": waited, "api_message_id": message["id"], **common})
        self.tell(at, {"type": "assistant", "message": {**first, "content": message["content"]}, "uuid": row["uuid"],
                       "timestamp": row["timestamp"], "request_id": row["requestId"], **common})
        self.tell(at, {"type": "stream_event", "uuid": self.uuid(), "api_message_id": message["id"], **common, "event": {
            "type": "message_delta", "delta": {"stop_reason": message["stop_reason"]}, "usage": message["usage"]}})
        for block in message["content"]:
            # Its host is asked for some of what changes things.
            if block["type"] == "tool_use" and block["name"] in ("Bash", "Write") and self.dice.random() < 0.1:
                self.tell(at, {"type": "control_request", "request_id": self.uuid(), "request": {
                    "subtype": "can_use_tool", "tool_name": block["name"], "input": block["input"],
                    "tool_use_id": block["id"]}})

    def end(self, at, cost):
        weights = [weight for _, _, weight in OUTCOMES]
        subtype, reason, _ = self.dice.choices(OUTCOMES, weights)[0]
        names = ("inputTokens", "outputTokens", "cacheReadInputTokens", "cacheCreationInputTokens")
        models = {model: dict(zip(names, counts, strict=True)) for model, counts in self.tokens.items()}
        if subtype:
            self.tell(at, {"type": "result", "subtype": subtype, "is_error": subtype != "success", "num_turns": self.turns,
                           "session_id": self.session, "total_cost_usd": cost, "modelUsage": models,
                           "terminal_reason": reason, "uuid": self.uuid()})
        self.lines.append((at, json.dumps({"type": "tailspan", "mark": "end", "at": iso(at)})))

    def uuid(self):
        digits = "%032x" % self.dice.getrandbits(128)
        return "%s-%s-4%s-a%s-%s" % (digits[:8], digits[8:12], digits[13:16], digits[17:20], digits[20:])


def runs(rows, since):
    """The streams of all sessions that began at `since` or later, as (time, run, workflow, line), sorted by time."""
    dice, known, ended = random.Random(11), {}, {}
    for at, path, line in rows:
        if "subagents" in path or not line.endswith("}"):
            continue
        row = json.loads(line)
        run = known.setdefault(path, (at, Run(row["sessionId"], dice)))[1]
        if row["type"] == "cost-state":
            ended[path] = (at, row["totalCostUSD"])
        elif "uuid" in row:
            run.row(at, row)
    lines = []
    for path, (began, run) in known.items():
        if path in ended:
            run.end(*ended[path])
        workflow = path.split("/")[0].rsplit("-", 1)[1]
        if began >= since:
            lines += [(at, run.session, workflow, line) for at, line in run.lines]
    return sorted(lines, key=lambda line: line[0])


def limits(at):
    """What the status line tells of the account at a time: two windows that fill while people work."""
    five = at.replace(hour=at.hour // 5 * 5, minute=0, second=0, microsecond=0)
    week = (at - dt.timedelta(days=at.weekday())).replace(hour=0, minute=0, second=0, microsecond=0)
    worked = (at - five).total_seconds() / 3600 * (28 if 8 <= at.hour < 19 else 3)
    days = (at - week).total_seconds() / 86400
    return {"rate_limits": {
        "five_hour": {"used_percentage": round(min(worked, 99), 1),
                      "resets_at": int((five + dt.timedelta(hours=5)).timestamp())},
        "seven_day": {"used_percentage": round(min(17 * days, 99), 1),
                      "resets_at": int((week + dt.timedelta(days=7)).timestamp())},
    }}
