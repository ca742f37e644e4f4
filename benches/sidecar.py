#!/usr/bin/env python3
"""The running sidecar against the budgets: start, restart, idle, append to metric, scrapes and queries under load.

usage: sidecar.py [--files 5000] [--mb 2000] [--seed 7] [--rounds 5] [--idle 60] [--appends 200] [--work FOLDER]

1. First start on an empty state, in turn with `scan` on the same files, `--rounds` times: medians of seconds and CPU
   until `/-/ready`, and of the CPU of both as a ratio.
2. Restart with that state. Idle CPU over `--idle` seconds, two minutes after the restart (looks become rarer until then).
3. Lines appended to one session file, one at a time: how long until `/metrics` shows each.
4. `/metrics`, the session list and one session, each asked in turn while another thread appends 50 lines a second and
   two more ask for `/metrics` all the time.
Latencies are seen by a client on loopback with one kept connection, in milliseconds.
"""
import argparse
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid
from datetime import datetime, timezone
from pathlib import Path

from common import BINARY, ROOT, corpus, environment, measure, quantiles

TICKS = os.sysconf("SC_CLK_TCK")


class Sidecar:
    """A running `tailspan run`."""

    def __init__(self, home, state):
        self.port = free_port()
        command = [BINARY, "run", "--state", str(state), "--listen", f"127.0.0.1:{self.port}"]
        self.started = time.perf_counter()
        self.process = subprocess.Popen(command, env=environment(home), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def until_ready(self):
        while True:
            if self.process.poll() is not None:
                sys.exit("the sidecar ended")
            try:
                status, _ = Client(self.port).get("/-/ready")
                if status == 200:
                    return time.perf_counter() - self.started
            except OSError:
                pass
            time.sleep(0.005)

    def cpu(self):
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def peak_mb(self):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()


class Client:
    """One kept connection."""

    def __init__(self, port):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def get(self, path):
        self.connection.request("GET", path)
        answer = self.connection.getresponse()
        return answer.status, answer.read()

    def timed(self, path):
        started = time.perf_counter()
        status, body = self.get(path)
        if status != 200:
            sys.exit(f"{path} answered {status}: {body[:500]}")
        return (time.perf_counter() - started) * 1000


def free_port():
    import socket

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Session:
    """A session file that grows."""

    def __init__(self, home):
        self.id = str(uuid.uuid4())
        folder = Path(home, ".claude/projects/-bench-live")
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"{self.id}.jsonl"
        self.written = 0
        self.write({"type": "user", "promptId": str(uuid.uuid4()), "message": {"role": "user", "content": "go"}})

    def write(self, row):
        now = datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        base = {"parentUuid": None, "isSidechain": False, "uuid": str(uuid.uuid4()), "timestamp": now, "sessionId": self.id,
                "cwd": "/bench/live", "version": "2.1.330", "gitBranch": "HEAD", "userType": "external", "entrypoint": "cli"}
        with self.path.open("ab") as file:
            file.write(json.dumps(base | row).encode() + b"\n")

    def response(self):
        """One more API response of one output token."""
        self.written += 1
        usage = {"input_tokens": 1, "output_tokens": 1, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 0}
        content = [{"type": "text", "text": "x" * 400}]
        self.write({"type": "assistant", "requestId": f"req_{uuid.uuid4().hex}", "message": {
            "id": f"msg_{uuid.uuid4().hex}", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5",
            "content": content, "stop_reason": "tool_use", "usage": usage}})


def requests_shown(client):
    _, body = client.get("/metrics")
    wanted = b'tailspan_api_requests_total{model="claude-sonnet-4-5"} '
    line = next((line for line in body.splitlines() if line.startswith(wanted)), b"x 0")
    return int(float(line.rsplit(b" ", 1)[1]))


def append_to_metric(sidecar, session, appends):
    client = Client(sidecar.port)
    delays = []
    for _ in range(appends):
        before = requests_shown(client)
        started = time.perf_counter()
        session.response()
        while requests_shown(client) <= before:
            time.sleep(0.001)
        delays.append((time.perf_counter() - started) * 1000)
        time.sleep(0.02)
    return delays


def under_load(sidecar, home, rounds):
    """Latencies by path, while files grow and others scrape."""
    ended = threading.Event()

    def grow():
        session = Session(home)
        while not ended.wait(0.02):
            session.response()

    def scrape():
        client = Client(sidecar.port)
        while not ended.is_set():
            client.get("/metrics")

    threads = [threading.Thread(target=body) for body in (grow, scrape, scrape)]
    for thread in threads:
        thread.start()
    client = Client(sidecar.port)
    _, body = client.get("/api/v1/analytics/sessions?limit=1")
    one = json.loads(body)["sessions"][0]["id"]
    paths = ["/metrics", "/api/v1/analytics/sessions?limit=100", f"/api/v1/analytics/sessions/{one}",
             f"/api/v1/analytics/sessions/{one}/replay?limit=100", "/jaeger/api/traces?service=claude-code&limit=20"]
    latencies = {path.replace(one, "{id}"): [client.timed(path) for _ in range(rounds)] for path in paths}
    ended.set()
    for thread in threads:
        thread.join()
    return latencies


def show(name, values):
    median, high, highest = quantiles(values)
    print(f"{name:56} p50 {median:7.2f}  p99 {high:7.2f}  max {highest:7.2f} ms  (n {len(values)})")


def disk_mb(folder):
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file()) / 1e6


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--files", type=int, default=5000)
    arguments.add_argument("--mb", type=float, default=2000)
    arguments.add_argument("--seed", type=int, default=7)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--idle", type=float, default=60)
    arguments.add_argument("--appends", type=int, default=200)
    arguments.add_argument("--work", type=Path, default=ROOT / "target/bench")
    given = arguments.parse_args()
    home = corpus(given.work / f"{given.mb:g}mb", given.files, given.mb, given.seed)
    live = home / ".claude/projects/-bench-live"
    state = given.work / f"state-{given.mb:g}mb"
    for folder in (live, state):
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{given.mb:g} MB in {given.files} files, seed {given.seed}; medians of {given.rounds}, in turn")
    scans, firsts = [], []
    for _ in range(given.rounds):
        scans.append(measure([BINARY, "scan"], home))
        shutil.rmtree(state, ignore_errors=True)
        sidecar = Sidecar(home, state)
        ready = sidecar.until_ready()
        firsts.append((sidecar.cpu(), ready, sidecar.peak_mb()))
        sidecar.stop()
    scan, first = sorted(scans)[given.rounds // 2], sorted(firsts)[given.rounds // 2]
    print(f"scan                 {scan[1]:7.2f} s  {scan[0]:7.2f} s CPU  {scan[2]:5.0f} MB")
    print(f"first start          {first[1]:7.2f} s  {first[0]:7.2f} s CPU  {first[2]:5.0f} MB   {first[0] / scan[0]:.2f} x the CPU of scan")
    print(f"state                {disk_mb(state):7.1f} MB")
    starts = []
    for _ in range(5):
        sidecar = Sidecar(home, state)
        starts.append((sidecar.until_ready(), sidecar.cpu(), sidecar.peak_mb()))
        if len(starts) < 5:
            sidecar.stop()
    ready, cpu, peak = sorted(starts)[2]
    print(f"restart, median of 5 {ready:7.3f} s  {cpu:7.3f} s CPU  {peak:5.0f} MB")
    if given.idle:
        time.sleep(120)
        before = sidecar.cpu()
        time.sleep(given.idle)
        print(f"idle                 {(sidecar.cpu() - before) / given.idle * 100:7.2f} % of a core over {given.idle:g} s")
    show("line appended -> visible at /metrics", append_to_metric(sidecar, Session(home), given.appends))
    for path, latencies in under_load(sidecar, home, 300).items():
        show(f"under load: {path}", latencies)
    sidecar.stop()
    shutil.rmtree(live)
    shutil.rmtree(state)


if __name__ == "__main__":
    main()
