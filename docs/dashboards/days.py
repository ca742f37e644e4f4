"""Eight days of three machines, and as much history, as rows in the form of Claude Code 2.1.330: what the previews are drawn
from.

The same seed gives the same days. Each machine is a list of (time, path, line), sorted by time; `path` is relative to
its projects folder. Texts are filler; names of projects and hosts are invented.
"""

import datetime as dt
import json
import random

UTC = dt.UTC
END = dt.datetime(2026, 11, 20, 17, 40, tzinfo=UTC)  # a Friday afternoon: weekend, usual days and today are all there
START = END.replace(hour=7, minute=0) - dt.timedelta(days=8)
BEFORE = START - dt.timedelta(days=8)  # what is there at the first start already: it is in answers of the API only
PRICES = {  # USD per million tokens: input, output, cache read, cache write for an hour
    "claude-opus-5-5": (4, 20, 0.2, 8), "claude-sonnet-5-5": (2, 10, 0.1, 4), "claude-haiku-5-5": (0.1, 0.5, 0.01, 0.2),
}
TOOLS = {  # weight, median seconds, spread, share that fails
    "Bash": (34, 2.5, 1.6, 0.09), "Read": (24, 0.06, 0.6, 0.02), "Edit": (15, 0.12, 0.7, 0.05),
    "Grep": (9, 0.25, 0.8, 0.01), "Glob": (4, 0.12, 0.6, 0.0), "Write": (5, 0.1, 0.5, 0.03),
    "WebFetch": (2, 4.0, 0.8, 0.12), "WebSearch": (1, 6.0, 0.5, 0.02), "mcp__github__get_issue": (3, 1.3, 0.7, 0.06),
    "Agent": (3, 0, 0, 0),
}
QUESTION = (0, 150, 0.9, 0)  # AskUserQuestion: a person answers
FILES = {  # what is edited in a project
    "api": ["src/main.rs", "src/routes.rs", "src/store.rs", "Cargo.toml", "migrations/004_users.sql"],
    "web": ["src/App.tsx", "src/Cart.tsx", "src/theme.css", "package.json"],
    "billing": ["billing/invoice.py", "billing/tax.py", "tests/test_tax.py", "README.md"],
}
AGENT_TYPES = ["Explore", "Explore", "Plan", "general-purpose"]


class Host:
    """Whose machine it is, and how it is used."""

    def __init__(self, instance, projects, models, sessions, entrypoint="cli", night=False):
        self.instance, self.projects, self.models = instance, projects, models
        self.sessions, self.entrypoint, self.night = sessions, entrypoint, night


HOSTS = [
    Host("ada-laptop:9719", ["api", "web", "billing"], [("claude-opus-5-5", 6), ("claude-sonnet-5-5", 4)], 20),
    Host("grace-desk:9719", ["infra", "search", "web"], [("claude-sonnet-5-5", 8), ("claude-opus-5-5", 2)], 16),
    Host("build-server:9719", ["nightly", "docs"], [("claude-sonnet-5-5", 3), ("claude-haiku-5-5", 7)], 18, "sdk-cli",
         night=True),
]


def iso(time):
    return time.strftime("%Y-%m-%dT%H:%M:%S.") + "%03dZ" % (time.microsecond // 1000)


class Machine:
    """Writes the days of one host."""

    def __init__(self, host, seed):
        self.host, self.dice, self.rows = host, random.Random(seed), []
        self.files = random.Random(seed)  # dice of its own, so that it moves no other

    def uuid(self):
        digits = "%032x" % self.dice.getrandbits(128)
        return "%s-%s-4%s-a%s-%s" % (digits[:8], digits[8:12], digits[13:16], digits[17:20], digits[20:])

    def name(self, prefix, length=22):
        letters = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
        return prefix + "".join(self.dice.choices(letters, k=length))

    def lognormal(self, median, spread, least, most):
        return min(most, max(least, self.dice.lognormvariate(0, spread) * median))

    def days(self, first=START, last=END):
        day = first.replace(hour=0, minute=0)
        while day < last:
            weekend = day.weekday() >= 5
            count = self.host.sessions * (0.25 if weekend and not self.host.night else 1)
            for _ in range(round(self.dice.uniform(0.75, 1.25) * count)):
                hours = range(1, 23) if self.host.night else range(8, 19)
                at = day + dt.timedelta(hours=self.dice.choice(list(hours)), minutes=self.dice.uniform(0, 60))
                Session(self, at).write()
            day += dt.timedelta(days=1)
        if not self.host.night and last == END:
            # What goes on at the end: one session works, one waits for a permission.
            Session(self, END - dt.timedelta(minutes=25)).write(turns=9)
            Session(self, END - dt.timedelta(minutes=9)).write(turns=1, hang=True)
        self.rows = sorted((row for row in self.rows if first <= row[0] <= last), key=lambda row: row[0])
        return self.rows


class Session:
    """One session file, its sub-agents beside it."""

    def __init__(self, machine, at):
        self.machine, self.at, self.dice = machine, at, machine.dice
        host = machine.host
        self.project = self.dice.choice(host.projects)
        names, weights = zip(*host.models, strict=True)
        self.model = self.dice.choices(names, weights)[0]
        self.id = machine.uuid()
        self.folder = "-home-dev-" + self.project
        self.path = "%s/%s.jsonl" % (self.folder, self.id)
        self.cost = 0.0
        self.context = self.dice.randrange(12_000, 25_000)
        self.base = {
            "userType": "external", "entrypoint": host.entrypoint, "cwd": "/home/dev/" + self.project,
            "sessionId": self.id, "version": "2.1.330", "gitBranch": self.dice.choice(["main", "fix/login", "next"]),
        }

    def emit(self, row, agent=None, path=None):
        more = {"isSidechain": bool(agent), **({"agentId": agent} if agent else {})}
        line = {**row, **more, "uuid": row.get("uuid", self.machine.uuid()), "timestamp": iso(self.at), **self.base}
        self.machine.rows.append((self.at, path or self.path, json.dumps(line, separators=(",", ":"))))

    def wait(self, seconds):
        self.at += dt.timedelta(seconds=seconds)

    def write(self, turns=None, hang=False):
        for number in range(turns or self.dice.randrange(2, 9)):
            self.turn(hang)
            if hang:
                return
            if number == 2 and self.dice.random() < 0.15:
                self.compact()
            self.wait(self.machine.lognormal(70, 1.1, 5, 1500))
        self.machine.rows.append((self.at, self.path, json.dumps({
            "type": "cost-state", "sessionId": self.id, "totalCostUSD": round(self.cost * 1.04, 6), "modelUsage": {}})))
        if self.dice.random() < 0.06:
            self.machine.rows.append((self.at, self.path, '{"type":"user","uuid":"torn'))
        if self.dice.random() < 0.08:
            self.emit({"type": "mood-report", "mood": "fine"})

    def compact(self):
        self.emit({"type": "system", "subtype": "compact_boundary", "parentUuid": None, "compactMetadata": {
            "trigger": self.dice.choice(["auto", "auto", "manual"]), "preTokens": self.context, "postTokens": 9000,
            "durationMs": 21_000}})
        self.context = 15_000

    def turn(self, hang):
        prompt = self.machine.uuid()
        sdk = self.machine.host.entrypoint != "cli"
        self.emit({"type": "user", "promptId": prompt, "turnOrigin": "sdk" if sdk else "human", "uuid": prompt,
                   "message": {"role": "user", "content": "Please look at this and make it work."}})
        for step in range(self.dice.randrange(2, 9)):
            if self.dice.random() < 0.012:
                self.api_error()
            done = self.response(prompt, self.model, last=step > 0 and self.dice.random() < 0.15, hang=hang and step == 1)
            if done:
                return

    def api_error(self):
        status = self.dice.choice([429, 529, 529, 500])
        self.wait(1)
        self.emit({"type": "system", "subtype": "api_error", "level": "error", "retryInMs": 1100, "retryAttempt": 1,
                   "maxRetries": 10, "source": "request_retry",
                   "error": {"status": status, "message": "%d (generated)" % status, "connection": None}})
        self.wait(2)

    def response(self, prompt, model, last=False, hang=False, agent=None, path=None):
        """A model call and the tools that it asks for; true if the turn is over."""
        machine = self.machine
        slow = 1.0 + (1.6 if 14 <= self.at.hour < 15 and self.at.date() == END.date() else 0)
        self.wait(machine.lognormal({"claude-opus-5-5": 8, "claude-sonnet-5-5": 5}.get(model, 2) * slow, 0.6, 0.7, 120))
        read = self.context if self.dice.random() > 0.04 else 9000
        written = self.dice.randrange(200, 3500) + self.context - read
        self.context = min(self.context + self.dice.randrange(200, 3500), 160_000)
        output = round(machine.lognormal(330, 1.0, 20, 9000))
        prices = PRICES.get(model, (0, 0, 0, 0))
        self.cost += (8 * prices[0] + output * prices[1] + read * prices[2] + written * prices[3]) / 1e6
        names, weights = zip(*((name, tool[0]) for name, tool in TOOLS.items()), strict=True)
        chosen = "Bash" if hang else self.dice.choices(names, weights)[0]
        if agent and chosen == "Agent":
            chosen = "Read"
        if chosen == "Bash" and not (agent or hang or machine.host.night) and machine.files.random() < 0.03:
            chosen = "AskUserQuestion"
        call = machine.name("toolu_01")
        block = {"type": "text", "text": "Done."} if last else {
            "type": "tool_use", "id": call, "name": chosen, "input": self.input(chosen)}
        self.emit({
            "type": "assistant", "promptId": prompt, "requestId": machine.name("req_011"), "requestedModel": model,
            "message": {
                "id": machine.name("msg_01"), "type": "message", "role": "assistant", "model": model,
                "content": [block], "stop_reason": "end_turn" if last else "tool_use",
                "usage": {"input_tokens": 8, "output_tokens": output, "cache_read_input_tokens": read,
                          "cache_creation_input_tokens": written, "cache_creation": {
                              "ephemeral_5m_input_tokens": written if agent else 0,
                              "ephemeral_1h_input_tokens": 0 if agent else written}}}}, agent, path)
        if last or hang:
            return True
        if chosen == "Agent":
            return self.sub_agent(prompt, call)
        _, median, spread, failing = TOOLS.get(chosen, QUESTION)
        self.wait(machine.lognormal(median, spread, 0.01, 500))
        return self.result(prompt, call, chosen, failing, agent, path)

    def input(self, tool):
        if tool not in ("Read", "Edit", "Write"):
            return {"description": "a step"}
        named = self.machine.files.choice(FILES.get(self.project, ["README.md"]))
        return {"file_path": "%s/%s" % (self.base["cwd"], named)}

    def result(self, prompt, call, tool, failing, agent, path):
        roll = self.dice.random()
        failed, denied, stopped = roll < failing, failing <= roll < failing + 0.012, roll > 0.993
        # Now and then a whole log, which all later requests carry along.
        words = 6000 if tool == "Bash" and not agent and self.machine.files.random() < 0.02 else 20
        self.context = min(self.context + words * 2, 190_000) if words > 20 else self.context
        row = {"type": "user", "promptId": prompt, "message": {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": call, "content": "filler " * words, "is_error": failed or denied or stopped}]}}
        if denied:
            self.wait(self.machine.lognormal(20, 1, 2, 300))
            row["toolDenialKind"], row["toolDenialBeforeRun"] = "user-rejected", True
        elif stopped:
            row["toolDenialKind"] = "user-rejected"
        elif tool == "Edit" and not failed:
            changed = [self.dice.choice("+++-") + "line" for _ in range(self.dice.randrange(3, 40))]
            row["toolUseResult"] = {"filePath": "/home/dev/x.rs", "structuredPatch": [{"lines": changed}]}
        self.emit(row, agent, path)
        if stopped and not agent:
            self.emit({"type": "user", "promptId": prompt, "message": {"role": "user", "content": [
                {"type": "text", "text": "[Request interrupted by user for tool use]"}]}})
            return True
        return False

    def sub_agent(self, prompt, call):
        agent = "a" + self.machine.name("", 16).lower()
        kind = self.dice.choice(AGENT_TYPES)
        path = "%s/%s/subagents/agent-%s" % (self.folder, self.id, agent)
        meta = {"agentType": kind, "isBuiltIn": True, "toolUseId": call, "spawnDepth": 1, "requestShape": "foreground"}
        self.machine.rows.append((self.at, path + ".meta.json", json.dumps(meta)))
        self.wait(0.3)
        model = "claude-haiku-5-5" if kind == "Explore" else self.model
        if self.dice.random() < 0.04:
            model = "claude-next-1"  # no price list knows it
        kept, self.context = self.context, 9000
        self.emit({"type": "user", "promptId": prompt, "message": {"role": "user", "content": "Find it."}}, agent,
                  path + ".jsonl")
        for step in range(self.dice.randrange(3, 9)):
            self.response(prompt, model, last=False, agent=agent, path=path + ".jsonl")
        self.response(prompt, model, last=True, agent=agent, path=path + ".jsonl")
        self.context = kept
        self.wait(0.2)
        self.emit({"type": "user", "promptId": prompt, "message": {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": call, "content": "found", "is_error": False}]},
            "toolUseResult": {"status": "completed", "agentId": agent, "agentType": kind}})
        return False


def machines(install="days"):
    """Hosts with their rows: three with all of the days and history; one with none of them, or with one session half an hour
    old."""
    if install == "days":
        return [(host, Machine(host, 100 + seed).days(BEFORE, START) + Machine(host, seed).days())
                for seed, host in enumerate(HOSTS, 7)]
    machine = Machine(HOSTS[0], 7)
    if install == "one":
        Session(machine, END - dt.timedelta(minutes=30)).write(turns=3)
    return [(HOSTS[0], sorted(row for row in machine.rows if row[0] <= END))]


def first_moment(install="days"):
    """When the sidecars start."""
    return START if install == "days" else END - dt.timedelta(hours=1)
