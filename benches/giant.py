#!/usr/bin/env python3
"""Sessions of one giant turn against the running sidecar: what a size costs, and whether it costs in proportion.

usage: giant.py [--turns 10000,20000,40000,80000,200000] [--agents 10000,20000,50000] [--lines 50000,200000]
                [--appends 100] [--old BINARY] [--no-export] [--work FOLDER]

turn    one turn with so many tool calls, each a response and a result in rows of their own
agents  one turn that starts so many sub-agents, each in a file of its own with one tool call
line    one turn whose calls are all in one line, and their results in another

1. First start on an empty state without an endpoint: seconds and CPU until `/-/ready`, CPU per 1,000 rows (or blocks),
   peak memory, state on disk. Then the slowest of five answers, and the peak memory after all of them.
2. Rows appended to that turn one by one: CPU and bytes handed to the disk per row, and the longest time until `/metrics`
   shows one, which a commit is part of. A commit itself is not seen from outside.
3. First start with all history for a collector on loopback that takes everything, without a pause between pieces: seconds
   and CPU until the last span has arrived, and peak memory. Every span must arrive, and none more than once.

With `--old`, everything is done with that program as well and the ratios new / old are printed.
"""
import argparse
import gzip
import http.client
import http.server
import json
import shutil
import subprocess
import sys
import threading
import time
import uuid
from datetime import datetime, timedelta, timezone
from pathlib import Path

from common import BINARY, ROOT, environment
from sidecar import Client, Sidecar, disk_mb, free_port

SESSION = "00000000-0000-4000-8000-00000000000a"
FIRST = datetime(2026, 1, 5, tzinfo=timezone.utc)
USAGE = {"input_tokens": 3, "output_tokens": 40, "cache_read_input_tokens": 15000, "cache_creation_input_tokens": 120}
PATIENCE = 900


class Rows:
    """A session file that is written row by row; the same ids at every run."""

    def __init__(self, path, name, **more):
        path.parent.mkdir(parents=True, exist_ok=True)
        self.file, self.name, self.more, self.count = path.open("a"), name, more, 0
        self.time, self.prompt = FIRST, None

    def write(self, kind, message, **more):
        self.count += 1
        own = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{self.name} {self.count}"))
        self.prompt = self.prompt or own
        row = {"isSidechain": False, "cwd": "/home/dev/x", "sessionId": SESSION, "version": "2.1.330", "gitBranch": "main",
               "entrypoint": "cli", "type": kind, "message": message, "uuid": own, **self.more, **more,
               "timestamp": self.time.isoformat(timespec="milliseconds").replace("+00:00", "Z")}
        self.file.write(json.dumps(row) + "\n")

    def user(self, content, after_ms=100, **more):
        self.time += timedelta(milliseconds=after_ms)
        self.write("user", {"role": "user", "content": content}, promptId=self.prompt or SESSION, **more)

    def response(self, name, content, stop, after_ms=100):
        self.time += timedelta(milliseconds=after_ms)
        message = {"id": f"msg_{name}", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5",
                   "content": content, "stop_reason": stop, "usage": USAGE}
        self.write("assistant", message, requestId=f"req_{name}")

    def close(self):
        self.file.close()


def call(name, tool="Bash", **given):
    return {"type": "tool_use", "id": f"toolu_{name}", "name": tool, "input": given or {"command": f"echo {name}"}}


def result(name):
    return {"type": "tool_result", "tool_use_id": f"toolu_{name}", "content": f"ok {name}"}


def make(folder, kind, size):
    """One open turn. Returns its file, its prompt's id, rows (or blocks) and spans, its root among them."""
    session = folder / f".claude/projects/-home-dev-x/{SESSION}.jsonl"
    rows = Rows(session, "session")
    rows.user("go")
    count, spans = 2 * size, 2 * size + 1
    if kind == "line":
        rows.response("all", [call(number) for number in range(size)], "tool_use")
        rows.user([result(number) for number in range(size)])
        spans = size + 2
    for number in range(size if kind == "turn" else 0):
        rows.response(number, [call(number, ["Bash", "Read", "Edit"][number % 3])], "tool_use")
        rows.user([result(number)])
    for number in range(size if kind == "agents" else 0):
        agent = f"a{number:016x}"
        rows.response(number, [call(number, "Agent", prompt=f"do {number}", subagent_type="Explore")], "tool_use")
        below = session.with_suffix("") / "subagents"
        own = Rows(below / f"agent-{agent}.jsonl", agent, agentId=agent, isSidechain=True)
        own.time = rows.time
        own.user(f"do {number}", 1)
        own.response(f"{number}a", [call(f"{number}a", "Grep")], "tool_use", 10)
        own.user([result(f"{number}a")], 10)
        own.response(f"{number}b", [{"type": "text", "text": "done"}], "end_turn", 10)
        own.close()
        meta = {"agentType": "Explore", "toolUseId": f"toolu_{number}", "requestShape": "foreground"}
        (below / f"agent-{agent}.meta.json").write_text(json.dumps(meta))
        rows.user([result(number)], toolUseResult={"status": "completed", "agentId": agent, "agentType": "Explore"})
        count, spans = 6 * size, 6 * size + 1
    rows.close()
    return session, rows, count, spans


class Sink:
    """A collector that takes everything and counts the spans in it by their ids."""

    def __init__(self):
        sink = self
        self.spans, self.doubles = set(), 0

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                sink.take(body)
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def take(self, body):
        # A span begins with its ids: field 1 of 16 bytes, field 2 of 8 bytes.
        at = body.find(b"\x0a\x10")
        while at >= 0:
            if body[at + 18 : at + 20] == b"\x12\x08":
                span = body[at + 2 : at + 18] + body[at + 20 : at + 28]
                self.doubles += span in self.spans
                self.spans.add(span)
                at += 27
            at = body.find(b"\x0a\x10", at + 1)


class Giant(Sidecar):
    """A sidecar with a program and arguments of its own."""

    def __init__(self, binary, home, state, *more, **variables):
        shutil.rmtree(state, ignore_errors=True)
        self.port, self.state = free_port(), state
        command = [binary, "run", "--state", str(state), "--listen", f"127.0.0.1:{self.port}", *more]
        self.started = time.perf_counter()
        variables = environment(home) | {"TAILSPAN_LOG": "warn"} | variables
        self.process = subprocess.Popen(command, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def written(self):
        lines = Path(f"/proc/{self.process.pid}/io").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("write_bytes")).split()[1])

    def counted(self, client):
        _, body = client.get("/metrics")
        lines = (line for line in body.splitlines() if line.startswith(b"tailspan_lines_total"))
        return sum(float(line.rsplit(b" ", 1)[1]) for line in lines)


def slowest_answer(sidecar, prompt):
    trace = prompt.replace("-", "")
    session = f"/api/v1/analytics/sessions/{SESSION}"
    paths = {"sessions": "/api/v1/analytics/sessions", "detail": session, "replay": f"{session}/replay?from=9000&limit=100",
             "trace": f"/jaeger/api/traces/{trace}", "search": "/jaeger/api/traces?service=claude-code&limit=20"}
    client = http.client.HTTPConnection("127.0.0.1", sidecar.port, timeout=PATIENCE)
    times = {}
    for name, path in paths.items():
        started = time.perf_counter()
        client.request("GET", path)
        answer = client.getresponse()
        body = answer.read()
        if answer.status != 200:
            print(f"{name} answered {answer.status}: {body[:200]}")
        times[name] = time.perf_counter() - started
    name = max(times, key=times.get)
    return times[name], name


def append(sidecar, session, rows, appends):
    """CPU ms and bytes written per appended row, and the longest time until one is shown, in ms."""
    client = Client(sidecar.port)
    rows.file, rows.time = session.open("a"), datetime.now(timezone.utc)
    cpu, written, longest = sidecar.cpu(), sidecar.written(), 0
    for number in range(appends):
        before, started = sidecar.counted(client), time.perf_counter()
        if number % 2 == 0:
            rows.response(f"more{number}", [call(f"more{number}")], "tool_use")
        else:
            rows.user([result(f"more{number - 1}")])
        rows.file.flush()
        while sidecar.counted(client) <= before:
            time.sleep(0.005)
        longest = max(longest, (time.perf_counter() - started) * 1000)
    rows.close()
    return (sidecar.cpu() - cpu) * 1000 / appends, (sidecar.written() - written) / appends, longest


def end(session, rows):
    """The last row of the turn. Its span is one more."""
    rows.file = session.open("a")
    rows.response("end", [{"type": "text", "text": "The end."}], "end_turn")
    rows.close()


def without_endpoint(binary, folder, made, appends):
    session, rows, count, _ = made
    sidecar = Giant(binary, folder, folder / "state")
    wall = sidecar.until_ready()
    figures = {"wall s": wall, "CPU s": sidecar.cpu(), "ms per 1,000": sidecar.cpu() * 1e6 / count, "peak MB": sidecar.peak_mb(),
               "state MB": disk_mb(folder / "state")}
    figures["slowest s"], which = slowest_answer(sidecar, rows.prompt)
    figures["peak after MB"] = sidecar.peak_mb()
    kept = session.read_bytes() if appends else b""
    if appends:
        figures["append ms CPU"], written, figures["shown ms max"] = append(sidecar, session, rows, appends)
        figures["append kB"] = written / 1000
        session.write_bytes(kept)
    sidecar.stop()
    return figures, which


def with_collector(binary, folder, made):
    _, _, _, spans = made
    sink = Sink()
    # The pauses are for late rows: without them it is seen what the work costs.
    pace = {"TAILSPAN_TRACES_HISTORY_RATE": "1000000", "TAILSPAN_TRACES_SETTLE": "0s"}
    endpoint = f"http://127.0.0.1:{sink.server.server_port}"
    sidecar = Giant(binary, folder, folder / "state", "--otlp-endpoint", endpoint, "--traces-history-since", "all", **pace)
    sidecar.until_ready()
    while len(sink.spans) < spans + 1 and time.perf_counter() - sidecar.started < PATIENCE:
        if sidecar.process.poll() is not None:
            sys.exit("the sidecar ended")
        time.sleep(0.02)
    figures = {"export s": time.perf_counter() - sidecar.started, "export CPU s": sidecar.cpu(), "export MB": sidecar.peak_mb()}
    time.sleep(1)
    sidecar.stop()
    sink.server.shutdown()
    if len(sink.spans) != spans + 1 or sink.doubles:
        print(f"{len(sink.spans)} spans arrived instead of {spans + 1}, {sink.doubles} of them again")
    return figures


def measure(binary, folder, kind, size, given):
    shutil.rmtree(folder, ignore_errors=True)
    made = make(folder, kind, size)
    figures, which = without_endpoint(binary, folder, made, given.appends)
    if not given.no_export:
        end(*made[:2])
        figures |= with_collector(binary, folder, made)
    shutil.rmtree(folder)
    return figures, which


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--turns", default="10000,20000,40000,80000,200000")
    arguments.add_argument("--agents", default="10000,20000,50000")
    arguments.add_argument("--lines", default="50000,200000")
    arguments.add_argument("--appends", type=int, default=100)
    arguments.add_argument("--old")
    arguments.add_argument("--no-export", action="store_true")
    arguments.add_argument("--work", type=Path, default=ROOT / "target/bench/giant")
    given = arguments.parse_args()
    titled = False
    for kind, sizes in (("turn", given.turns), ("agents", given.agents), ("line", given.lines)):
        for size in [int(size) for size in sizes.split(",") if size]:
            figures, which = measure(BINARY, given.work, kind, size, given)
            if not titled:
                print("| |", " | ".join(figures), "| slowest |\n|---|" + "---|" * (len(figures) + 1))
                titled = True
            print(f"| {kind} {size:,} |", " | ".join(f"{value:.3g}" if value < 100 else f"{value:.0f}" for value in figures.values()), f"| {which} |", flush=True)
            if given.old:
                old, _ = measure(given.old, given.work, kind, size, given)
                ratios = (figures[name] / old[name] if old[name] else 0 for name in figures)
                print("| new / old |", " | ".join(f"{ratio:.2f}" for ratio in ratios), "| |", flush=True)


if __name__ == "__main__":
    main()
