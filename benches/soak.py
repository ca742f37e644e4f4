#!/usr/bin/env python3
"""Soak: the sidecar over many simulated days, with memory, descriptors, disk, latency and the totals watched.

usage: soak.py [--minutes 60] [--day-seconds 10] [--sessions 20] [--every 10] [--csv soak.csv] [--seed 7] [--keep DIR]
       soak.py --days 365 [...]      as fast as the sidecar keeps up: a simulated year

A simulated day brings new sessions that grow turn by turn, side by side: prompts, responses, tool calls, sub-agents
with files of their own; some sessions are resumed, forked, cut in place, replaced by a shorter file. After 30 simulated
days a session's files are deleted, as Claude Code does. A local OTLP sink takes the spans, and is down every 15 minutes
for half a minute. A row of its own model is the probe: how long until its tokens are at /metrics.

At the end the tokens that the sidecar shows must be those that were written, and every span must have left.
The binary is TAILSPAN_BIN, or target/release/tailspan. With `cargo bench --bench store_size --no-run` done before, the
live data of the database is measured too.
"""
import argparse
import collections
import csv
import glob
import http.client
import http.server
import json
import os
import random
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RETENTION_DAYS = 30
MODELS = ["claude-opus-4-5-20251101", "claude-sonnet-4-5-20250929"]
PROBE_MODEL = "claude-haiku-4-5-20251001"
TOOLS = ["Bash", "Read", "Edit", "Grep", "Glob", "Write", "WebFetch", "mcp__github__get_issue"]
COLUMNS = [
    "elapsed_s", "day", "sessions", "files", "rows", "written_mb", "rss_mb", "peak_mb", "fds", "threads", "cpu_s",
    "state_mb", "store_mb", "outbox_spans", "spans_exported", "visible_ms", "scrape_ms", "list_ms",
]


def stamp():
    now = time.time()
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + ".%03dZ" % (now % 1 * 1000)


class World:
    """The session files, and what they hold in truth."""

    def __init__(self, root, seed, sessions_per_day, fast):
        self.root, self.dice, self.per_day, self.fast = root, random.Random(seed), sessions_per_day, fast
        words = "fn let mut error result await path src/lib.rs:12 cargo test passed failed \\n \\\"key\\\" → ü".split(" ")
        self.pool = " ".join(self.dice.choice(words) for _ in range(60_000))
        self.output = collections.Counter()
        self.rows = self.bytes = self.sessions = 0
        self.growing, self.done = [], []
        probe = self.new_session(0)
        self.probe_session = probe

    def uuid(self):
        return str(uuid.UUID(int=self.dice.getrandbits(128), version=4))

    def text(self, median, most):
        size = int(min(most, median * self.dice.lognormvariate(0, 1)))
        at = self.dice.randrange(len(self.pool) - most - 2)
        # Never from within an escape.
        return self.pool[at : at + size].rpartition(" ")[0].partition(" ")[2]

    def new_session(self, day):
        project = "-home-dev-p%d" % self.dice.randrange(12)
        session = {
            "id": self.uuid(), "touched": day, "parent": None, "project": project, "turns": self.dice.randrange(1, 10),
            "cwd": "/home/dev/" + project[10:], "model": self.dice.choice(MODELS), "lines": 0,
        }
        session["path"] = self.root / project / (session["id"] + ".jsonl")
        session["acts"] = self.acts(session)
        self.sessions += 1
        return session

    def row(self, session, kind, rest, agent=None):
        parent = '"%s"' % session["parent"] if session["parent"] else "null"
        session["parent"] = self.uuid()
        side = '"isSidechain":true,"agentId":"%s"' % agent if agent else '"isSidechain":false'
        return (
            '{"parentUuid":%s,%s,"type":"%s",%s,"uuid":"%s","timestamp":"%s","userType":"external","entrypoint":"cli",'
            '"cwd":"%s","sessionId":"%s","version":"2.1.330","gitBranch":"main"}\n'
            % (parent, side, kind, rest, session["parent"], stamp(), session["cwd"], session["id"])
        )

    def response(self, session, model, block, stop, output, agent=None):
        self.output[model] += output
        number = self.dice.getrandbits(120)
        usage = (
            '{"input_tokens":4,"cache_creation_input_tokens":%d,"cache_read_input_tokens":%d,"output_tokens":%d,"cache_creation":'
            '{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0}}' % (number % 4000, number % 150_000, output)
        )
        message = (
            '"message":{"model":"%s","id":"msg_01%030x","type":"message","role":"assistant","content":[%s],"stop_reason":"%s",'
            '"usage":%s},"requestId":"req_011%030x"' % (model, number, block, stop, usage, number)
        )
        return self.row(session, "assistant", message, agent)

    def call(self, session, name, body, agent=None, given='{"command":"make"}'):
        """A response that calls a tool, and the tool's result."""
        tool = "toolu_01%030x" % self.dice.getrandbits(120)
        block = '{"type":"tool_use","id":"%s","name":"%s","input":%s}' % (tool, name, given)
        asked = self.response(session, session["model"], block, "tool_use", self.dice.randrange(20, 900), agent)
        result = '"message":{"role":"user","content":[{"tool_use_id":"%s","type":"tool_result","content":"%s"}]}' % (tool, body)
        return tool, asked, result

    def acts(self, session):
        """What is written of a session, one append after the other."""
        path, dice = session["path"], self.dice
        shape = '{"type":"api-request-shape","sessionId":"%s","shape":"%s"}\n' % (session["id"], self.text(20_000, 40_000))
        yield path, shape
        while session["turns"] > 0:
            session["turns"] -= 1
            yield path, self.row(session, "user", '"message":{"role":"user","content":"%s"}' % self.text(180, 4000))
            for _ in range(dice.randrange(1, 8)):
                tool, asked, result = self.call(session, dice.choice(TOOLS), self.text(1300, 20_000))
                yield path, asked
                yield path, self.row(session, "user", result)
            if dice.random() < 0.15:
                yield from self.agent(session)
            block = '{"type":"text","text":"%s"}' % self.text(300, 5000)
            yield path, self.response(session, session["model"], block, "end_turn", dice.randrange(20, 2000))

    def agent(self, session):
        """A sub-agent with a file of its own."""
        agent = "a%016x" % self.dice.getrandbits(64)
        given = '{"description":"look","prompt":"look","subagent_type":"Explore"}'
        tool, asked, result = self.call(session, "Agent", "Found.", given=given)
        yield session["path"], asked
        main, session["parent"] = session["parent"], None
        folder = session["path"].with_suffix("") / "subagents"
        yield folder / ("agent-%s.meta.json" % agent), '{"agentType":"Explore","toolUseId":"%s"}' % tool
        path = folder / ("agent-%s.jsonl" % agent)
        yield path, self.row(session, "user", '"message":{"role":"user","content":"look"}', agent)
        for _ in range(self.dice.randrange(1, 5)):
            _, inner, inner_result = self.call(session, "Grep", self.text(800, 8000), agent)
            yield path, inner
            yield path, self.row(session, "user", inner_result, agent)
        yield path, self.response(session, session["model"], '{"type":"text","text":"Found."}', "end_turn", 40, agent)
        session["parent"] = main
        result += ',"toolUseResult":{"status":"completed","agentId":"%s","agentType":"Explore"}' % agent
        yield session["path"], self.row(session, "user", result)

    def append(self, path, text):
        path.parent.mkdir(parents=True, exist_ok=True)
        data = text.encode()
        with open(path, "ab") as file:
            file.write(data)
        self.rows += text.endswith("\n")
        self.bytes += len(data)

    def begin_day(self, day):
        self.growing += [self.new_session(day) for _ in range(self.per_day)]
        quiet = [session for session in self.done if day - session["touched"] >= 2]
        for session in self.dice.sample(quiet, min(len(quiet), self.per_day // 10)):
            self.done.remove(session)
            session["turns"], session["touched"] = self.dice.randrange(1, 4), day
            session["acts"] = self.acts(session)
            self.growing.append(session)
        quiet = [session for session in self.done if day - session["touched"] >= 2]
        for session in self.dice.sample(quiet, min(len(quiet), self.per_day // 10)):
            self.fork(session, day)
        # Only files that nothing was added to for a while: what is cut before it is read is lost to everybody.
        for session in self.dice.sample(quiet, min(len(quiet), 2)):
            self.rewrite(session["path"])
        old = [session for session in self.done if day - session["touched"] >= RETENTION_DAYS]
        self.done = [session for session in self.done if day - session["touched"] < RETENTION_DAYS]
        for session in old:
            session["path"].unlink()
            shutil.rmtree(session["path"].with_suffix(""), ignore_errors=True)

    def fork(self, source, day):
        fork = self.new_session(day)
        mark = '"requestSessionId":"%s","type":"assistant"' % source["id"]
        history = source["path"].read_text().replace(source["id"], fork["id"]).replace('"type":"assistant"', mark)
        fork["parent"] = source["parent"]
        fork["turns"] = 2
        self.append(fork["path"], history)
        self.rows += history.count("\n") - 1
        self.growing.append(fork)

    def rewrite(self, path):
        lines = path.read_bytes().splitlines(keepends=True)
        if self.dice.random() < 0.5:
            with open(path, "r+b") as file:
                file.truncate(sum(map(len, lines[:-1])))
        else:
            new = path.with_name(path.name + ".compact.tmp.1f")
            new.write_bytes(b"".join(lines[len(lines) // 2 :]))
            os.replace(new, path)

    def tick(self, appends, day):
        """Some sessions go on, each by one append; more of them if yesterday's are not done."""
        front = self.growing[:12]
        appends += appends * max(0, len(self.growing) - self.per_day) // self.per_day
        for _ in range(appends):
            if not front:
                return
            session = self.dice.choice(front)
            session["touched"] = day
            try:
                self.append(*next(session["acts"]))
            except StopIteration:
                self.growing.remove(session)
                front.remove(session)
                self.done.append(session)

    def probe(self):
        """One response of a model that nobody else uses; returns the sum that the metrics must reach."""
        session = self.probe_session
        if session["lines"] % 40 == 0:
            session["parent"] = None
            self.append(session["path"], self.row(session, "user", '"message":{"role":"user","content":"probe"}'))
        session["lines"] += 1
        text = '{"type":"text","text":"here"}'
        self.append(session["path"], self.response(session, PROBE_MODEL, text, "end_turn", 7))
        return self.output[PROBE_MODEL]


class Sink(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    down = False

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(503 if Sink.down else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class Sidecar:
    def __init__(self, binary, projects, state, log):
        self.sink = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Sink)
        threading.Thread(target=self.sink.serve_forever, daemon=True).start()
        endpoint = "http://127.0.0.1:%d" % self.sink.server_port
        command = [binary, "run", "--projects", projects, "--state", state, "--listen", "127.0.0.1:0", "--otlp-endpoint", endpoint]
        with open(log, "w") as out:
            self.process = subprocess.Popen(command, stderr=out, stdout=subprocess.DEVNULL, env={"PATH": os.environ["PATH"]})
        self.proc = Path("/proc/%d" % self.process.pid)
        self.port = wait_for(lambda: re.search(r"tailspan is running.*address=\S*:(\d+)", Path(log).read_text()), 60)
        self.port = int(self.port.group(1))
        self.connection = None
        wait_for(lambda: self.get("/-/ready")[0] == 200, 60)

    def get(self, path):
        for again in (True, False):
            try:
                if self.connection is None:
                    self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
                self.connection.request("GET", path)
                answer = self.connection.getresponse()
                return answer.status, answer.read().decode()
            except (http.client.HTTPException, OSError):
                self.connection = None
                if not again or self.process.poll() is not None:
                    raise

    def metrics(self):
        return self.get("/metrics")[1]

    def usage(self):
        status = (self.proc / "status").read_text()
        kb = lambda name: int(re.search(name + r":\s+(\d+)", status).group(1)) / 1024
        stat = (self.proc / "stat").read_text().rpartition(")")[2].split()
        cpu = (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")
        return {
            "rss_mb": kb("VmRSS"), "peak_mb": kb("VmHWM"), "fds": len(os.listdir(self.proc / "fd")),
            "threads": int(re.search(r"Threads:\s+(\d+)", status).group(1)), "cpu_s": cpu,
        }


def wait_for(ask, seconds, pause=0.02, why=lambda: "waited in vain"):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        answer = ask()
        if answer:
            return answer
        time.sleep(pause)
    sys.exit(why())


def value(metrics, name):
    """Sum of the samples of a metric whose name and labels begin like this."""
    return sum(float(line.rpartition(" ")[2]) for line in metrics.splitlines() if line.startswith(name))


def output_of(metrics, model):
    return value(metrics, 'tailspan_lifetime_tokens{model="%s",kind="output"}' % model.rpartition("-")[0])


def size_of(folder):
    total = 0
    for where, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.stat(os.path.join(where, name)).st_blocks * 512
            except FileNotFoundError:
                pass
    return total / 1e6


def timed(ask):
    started = time.perf_counter()
    answer = ask()
    return answer, (time.perf_counter() - started) * 1000


def visible(world, sidecar):
    """Milliseconds from an append until its tokens are shown."""
    started = time.perf_counter()
    wanted = world.probe()
    wait_for(lambda: output_of(sidecar.metrics(), PROBE_MODEL) >= wanted, 60, 0.004)
    return (time.perf_counter() - started) * 1000


def measure(world, sidecar, state, day, started, latencies):
    metrics, scrape = timed(sidecar.metrics)
    _, listed = timed(lambda: sidecar.get("/api/v1/analytics/sessions?limit=100"))
    files = sum(len(names) for _, _, names in os.walk(world.root))
    return {
        "elapsed_s": time.monotonic() - started, "day": day, "sessions": world.sessions, "files": files, "rows": world.rows,
        "written_mb": world.bytes / 1e6, **sidecar.usage(), "state_mb": size_of(state),
        "store_mb": value(metrics, "tailspan_store_bytes") / 1e6, "outbox_spans": value(metrics, "tailspan_outbox_spans "),
        "spans_exported": value(metrics, "tailspan_spans_exported_total"), "visible_ms": max(latencies, default=0),
        "scrape_ms": scrape, "list_ms": listed,
    }


def paced(given, world, sidecar, note):
    """So many minutes; a day lasts `day_seconds`. Ten ticks a second, a probe every second."""
    started = time.monotonic()
    appends = max(1, round(given.sessions * 52 / given.day_seconds / 10))
    day, next_note, latencies, all_latencies, ticks = -1, given.every, [], [], 0
    while (elapsed := time.monotonic() - started) < given.minutes * 60:
        while day < int(elapsed / given.day_seconds):
            day += 1
            world.begin_day(day)
        Sink.down = elapsed % 900 > 870
        world.tick(appends, day)
        ticks += 1
        if ticks % 10 == 0:
            latencies.append(visible(world, sidecar))
        if elapsed >= next_note:
            next_note += given.every
            note(day, latencies)
            all_latencies += latencies
            latencies = []
        time.sleep(max(0, started + ticks * 0.1 - time.monotonic()))
    note(day, latencies)
    return all_latencies + latencies


def fast(given, world, sidecar, note):
    """So many days, as fast as the sidecar shows what is written."""
    latencies, every = [], []
    for day in range(given.days):
        world.begin_day(day)
        for _ in range(100):
            world.tick(max(1, given.sessions * 52 // 100), day)
            every.append(visible(world, sidecar))
        latencies += every
        if day % max(1, given.days // 60) == 0 or day == given.days - 1:
            note(day, every)
            every = []
    return latencies


def live_bytes(state):
    """Bytes of the keys and values in the database, and of its files; None without the program that looks."""
    programs = [path for path in glob.glob(str(ROOT / "target/release/deps/store_size-*")) if os.access(path, os.X_OK)]
    if not programs:
        return None
    newest = max(programs, key=os.path.getmtime)
    # A compacted database has a number: db-1, db-2.
    database = max(glob.glob(os.path.join(state, "db*")), key=os.path.getmtime)
    return json.loads(subprocess.check_output([newest, "--json", database]))


def quarter(rows, index):
    size = max(1, len(rows) // 4)
    return rows[:size] if index == 0 else rows[-size:]


def summary(rows, latencies):
    print(f"\n{'':16}{'first quarter':>16}{'last quarter':>16}{'end':>12}")
    for name in ["sessions", "rows", "written_mb", "rss_mb", "fds", "threads", "state_mb", "store_mb", "outbox_spans", "visible_ms", "scrape_ms", "list_ms"]:
        first, last = (statistics.median(row[name] for row in quarter(rows, index)) for index in (0, -1))
        print(f"{name:16}{first:16.1f}{last:16.1f}{rows[-1][name]:12.1f}")
    cpu = lambda part: (part[-1]["cpu_s"] - part[0]["cpu_s"]) / max(1e-9, part[-1]["elapsed_s"] - part[0]["elapsed_s"]) * 100
    print(f"{'cpu % of a core':16}{cpu(quarter(rows, 0)):16.1f}{cpu(quarter(rows, -1)):16.1f}")
    ordered = sorted(latencies)
    at = lambda share: ordered[min(len(ordered) - 1, int(len(ordered) * share))]
    print(f"append -> visible: {len(ordered)} probes, p50 {at(0.5):.0f} ms, p99 {at(0.99):.0f} ms, max {ordered[-1]:.0f} ms")


def finish(world, sidecar):
    """What is shown must be what was written, and every span must leave."""
    Sink.down = False
    shown = lambda: {model: output_of(sidecar.metrics(), model) for model in world.output}
    right = lambda metrics: all(output_of(metrics, model) == count for model, count in world.output.items())
    wait_for(lambda: right(sidecar.metrics()), 60, 0.2, lambda: f"totals are wrong: written {dict(world.output)}, shown {shown()}")
    wait_for(lambda: value(sidecar.metrics(), "tailspan_outbox_spans ") == 0, 120, 0.2, lambda: "spans still wait")
    metrics = sidecar.metrics()
    lost = value(metrics, "tailspan_spans_dropped_total") + value(metrics, "tailspan_rejected_lines_total")
    print(f"totals are exact over {world.sessions} sessions, {world.rows} rows; all spans have left; {lost:.0f} dropped or rejected")
    started = time.monotonic()
    sidecar.process.send_signal(signal.SIGTERM)
    code = sidecar.process.wait(60)
    print(f"ended with code {code} after {time.monotonic() - started:.2f} s")


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--minutes", type=float, default=60)
    arguments.add_argument("--day-seconds", type=float, default=10)
    arguments.add_argument("--days", type=int, default=0, help="so many simulated days without pauses")
    arguments.add_argument("--sessions", type=int, default=20, help="new sessions per simulated day")
    arguments.add_argument("--every", type=float, default=10, help="seconds between two rows of the table")
    arguments.add_argument("--seed", type=int, default=7)
    arguments.add_argument("--csv", default="soak.csv")
    arguments.add_argument("--keep", help="folder for projects and state, which is not deleted")
    given = arguments.parse_args()
    binary = os.environ.get("TAILSPAN_BIN", str(ROOT / "target/release/tailspan"))
    folder = given.keep or tempfile.mkdtemp(prefix="tailspan-soak-")
    projects, state = os.path.join(folder, "projects"), os.path.join(folder, "state")
    os.makedirs(projects)
    world = World(Path(projects), given.seed, given.sessions, bool(given.days))
    sidecar = Sidecar(binary, projects, state, os.path.join(folder, "log.txt"))
    rows, started = [], time.monotonic()
    try:
        with open(given.csv, "w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()

            def note(day, latencies):
                row = measure(world, sidecar, state, day, started, latencies)
                rows.append(row)
                writer.writerow({name: round(number, 2) for name, number in row.items()})
                file.flush()

            latencies = (fast if given.days else paced)(given, world, sidecar, note)
        summary(rows, latencies)
        finish(world, sidecar)
        size = live_bytes(state)
        if size:
            ratio = size["disk"] / size["live"]
            print(f"database after the end: {size['disk'] / 1e6:.1f} MB for {size['live'] / 1e6:.1f} MB of live data in {size['rows']} rows: {ratio:.2f}x")
    finally:
        if sidecar.process.poll() is None:
            sidecar.process.kill()
        if not given.keep:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
