#!/usr/bin/env python3
"""The replay of one long session: first page, seeks, texts, and the memory that they take.

usage: replay.py [--events 100000] [--mb 1000] [--turns 200] [--seeks 500] [--seed 7] [--work FOLDER]

One session of so many events in so many turns, whose results make the file so large. A sidecar reads it and makes the
search index; when it does nothing any more, its memory is the idle one. Then a client on loopback with one kept connection

first   asks for the first page, of 100 events, which works out the order of all events
page    asks for pages of 100 events anywhere, with states and without
index   moves a cursor to positions anywhere
at      moves a cursor to times anywhere
error   moves a cursor to the next error behind a position anywhere
text    moves a cursor to the next event with a word that few, or no, events have
whole   reads 64 KiB of the text of a result anywhere
live    appends a row to the file, and asks for the last page once it is counted

and the peak of memory meanwhile is held against the idle one.
"""
import argparse
import json
import random
import shutil
import subprocess
import time
import uuid
from datetime import datetime, timedelta, timezone
from pathlib import Path

from common import ROOT, quantiles
from sidecar import Client, Sidecar

SESSION = "00000000-0000-4000-8000-00000000000b"
FIRST = datetime(2026, 1, 5, tzinfo=timezone.utc)
USAGE = {"input_tokens": 3, "output_tokens": 40, "cache_read_input_tokens": 15000, "cache_creation_input_tokens": 120}
WORDS = "fn let mut impl struct return match self config path error result async await tokio spawn the cannot found test".split()
BUDGETS = {"first": 300, "index": 50, "at": 50, "error": 50, "text": 50, "whole": 50}


class Session:
    """A session file that is written row by row."""

    def __init__(self, path, dice):
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path, self.file, self.count, self.time, self.dice = path, path.open("w"), 0, FIRST, dice
        self.pool = " ".join(dice.choice(WORDS) for _ in range(400_000))

    def row(self, kind, message, **more):
        self.count += 1
        self.time += timedelta(milliseconds=self.dice.randrange(1, 3000))
        row = {"isSidechain": False, "cwd": "/home/dev/x", "sessionId": SESSION, "version": "2.1.330", "gitBranch": "main",
               "entrypoint": "cli", "type": kind, "message": message,
               "uuid": str(uuid.uuid5(uuid.NAMESPACE_OID, str(self.count))), "promptId": SESSION, **more,
               "timestamp": self.time.isoformat(timespec="milliseconds").replace("+00:00", "Z")}
        self.file.write(json.dumps(row) + "\n")

    def text(self, length):
        at = self.dice.randrange(max(1, len(self.pool) - length))
        return self.pool[at : at + length]

    def call(self, number):
        tool = self.dice.choice(["Bash", "Read", "Edit"])
        given = {"command": f"echo {number}"} if tool == "Bash" else {"file_path": f"/home/dev/x/src/file{self.dice.randrange(500)}.rs"}
        content = [{"type": "tool_use", "id": f"toolu_{number}", "name": tool, "input": given}]
        self.row("assistant", {"id": f"msg_{number}", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5",
                               "content": content, "stop_reason": "tool_use", "usage": USAGE}, requestId=f"req_{number}")

    def result(self, number, length):
        needle = f" needle{number // 1000}x" if number % 1000 == 500 else ""
        block = {"type": "tool_result", "tool_use_id": f"toolu_{number}", "content": self.text(length) + needle,
                 "is_error": self.dice.random() < 0.03}
        self.row("user", {"role": "user", "content": [block]})


def make(folder, events, mb, turns, seed):
    dice = random.Random(seed)
    session = Session(folder / f".claude/projects/-home-dev-x/{SESSION}.jsonl", dice)
    steps = (events - turns) // 3
    length = max(1, mb * 1_000_000 // steps - 900)
    for number in range(steps):
        if number % (steps // turns) == 0:
            prompt = str(uuid.uuid5(uuid.NAMESPACE_OID, f"prompt {number}"))
            session.row("user", {"role": "user", "content": f"do {number}"}, promptId=prompt)
        session.call(number)
        session.result(number, max(1, int(length * dice.choice([0.02, 0.2, 0.5, 1.0, 3.28]))))
    session.file.flush()
    return session, steps


def memory(sidecar, name):
    status = Path(f"/proc/{sidecar.process.pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith(name)).split()[1]) / 1024


def until_idle(sidecar):
    """Waits until the index is made, which is when nothing is done for three seconds."""
    quiet, before = 0, sidecar.cpu()
    while quiet < 6:
        time.sleep(0.5)
        now = sidecar.cpu()
        quiet = quiet + 1 if now - before < 0.02 else 0
        before = now


class Replay:
    def __init__(self, port):
        self.connection, self.path = Client(port).connection, f"/api/v1/analytics/sessions/{SESSION}/replay"

    def ask(self, method, rest, body=None):
        started = time.perf_counter()
        headers = {"Content-Type": "application/json"} if body else {}
        self.connection.request(method, self.path + rest, body and json.dumps(body), headers)
        answer = self.connection.getresponse()
        text = answer.read()
        took = (time.perf_counter() - started) * 1000
        if answer.status not in (200, 201):
            raise SystemExit(f"{method} {rest} {body}: {answer.status} {text[:300]}")
        return took, json.loads(text)


def append(session, replay, number, total):
    """Milliseconds of the first answer that has a row which was appended."""
    session.call(number)
    session.file.flush()
    while True:
        took, page = replay.ask("GET", f"?from={max(0, total - 50)}&limit=100")
        if page["total_events"] > total:
            return took, page["total_events"]
        time.sleep(0.02)


def measure(sidecar, session, steps, given):
    dice, times = random.Random(given.seed + 1), {}
    until_idle(sidecar)
    idle = memory(sidecar, "VmRSS")
    Path(f"/proc/{sidecar.process.pid}/clear_refs").write_text("5")
    replay = Replay(sidecar.port)
    took, page = replay.ask("GET", "?limit=100")
    times["first"], total = [took], page["total_events"]
    cursor = replay.ask("POST", "", {"action": "open"})[1]["cursor"]
    seek = lambda to: replay.ask("POST", "", {"action": "seek", "cursor": cursor, "to": to})[0]
    anywhere = lambda: dice.randrange(total)
    span = (session.time - FIRST).total_seconds()
    when = lambda: (FIRST + timedelta(seconds=dice.random() * span)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    needles = [f"needle{number}x" for number in range(steps // 1000)] + ["nowhere7at8all"]
    results = []
    while len(results) < 20:
        found = replay.ask("GET", f"?from={anywhere()}&limit=1&kind=tool_result")[1]["events"]
        results += [event["index"] for event in found]
    for number in range(given.seeks):
        state = "&context=true" if number % 2 else ""
        times.setdefault("page", []).append(replay.ask("GET", f"?from={anywhere()}&limit=100{state}")[0])
        times.setdefault("index", []).append(seek({"index": anywhere()}))
        times.setdefault("at", []).append(seek({"at": when()}))
        seek({"index": anywhere()})
        times.setdefault("error", []).append(seek({"next": "error"}))
        seek({"index": dice.randrange(total // 2)})
        times.setdefault("text", []).append(seek({"text": dice.choice(needles)}))
        times.setdefault("whole", []).append(replay.ask("GET", f"/{dice.choice(results)}/text")[0])
    peak = memory(sidecar, "VmHWM")
    times["live"] = []
    for number in range(10):
        took, total = append(session, replay, steps + number, total)
        times["live"].append(took)
    return times, total, idle, peak, memory(sidecar, "VmHWM")


def main():
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--events", type=int, default=100_000)
    asked.add_argument("--mb", type=int, default=1000)
    asked.add_argument("--turns", type=int, default=200)
    asked.add_argument("--seeks", type=int, default=500)
    asked.add_argument("--seed", type=int, default=7)
    asked.add_argument("--work", type=Path, default=ROOT / "target/replay")
    given = asked.parse_args()
    shutil.rmtree(given.work, ignore_errors=True)
    session, steps = make(given.work, given.events, given.mb, given.turns, given.seed)
    size = session.path.stat().st_size / 1e6
    sidecar = Sidecar(given.work, given.work / "state")
    try:
        ready = sidecar.until_ready()
        times, total, idle, peak, live_peak = measure(sidecar, session, steps, given)
    finally:
        sidecar.stop()
        subprocess.run(["rm", "-rf", str(given.work)], check=True)
    print(f"{total} events, {size:.0f} MB, {given.turns} turns; read in {ready:.1f} s")
    print("| | p50 ms | p99 ms | max ms | budget ms |\n|---|---|---|---|---|")
    for name, values in times.items():
        p50, p99, most = quantiles(values)
        print(f"| {name} | {p50:.1f} | {p99:.1f} | {most:.1f} | {BUDGETS.get(name, '')} |")
    print(f"memory: idle {idle:.0f} MB, {peak - idle:.0f} MB more at the peak, {live_peak - idle:.0f} MB with a growing file")


if __name__ == "__main__":
    main()
