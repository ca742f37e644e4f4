#!/usr/bin/env python3
"""Compares what two builds of tailspan say: a refactoring must not change a byte of it.

    python3 benches/compare_programs.py OLD NEW [--corpus FOLDER]

Compared are, for each recording and fixture, for all recordings together, and for a generated corpus (its
`.claude/projects`, see gen_corpus.py):

    scan      as JSON with sessions, as Prometheus text, as a tree of spans
    backfill  as OpenMetrics
    run       a live sidecar over a copy of the recordings: `/metrics` in both formats, every answer about sessions and
              their replays, both forms of Jaeger's API, and what arrives at an OTLP endpoint

Left out is what tells of the moment or of the process: times of the start, `process_*`, sizes of the state, revisions.
Says what differs, and ends with 1 if anything does.
"""

import argparse
import gzip
import http.server
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Lines of /metrics that tell of the process or of the moment.
OF_THE_MOMENT = re.compile(
    rb"^(# \w+ )?(process_|tailspan_(build_info|start_time|last_event|store_bytes|http_requests|export_failures"
    rb"|outbox|spans_exported|initial_scan|read_lag|log_lines))"
)


def scan(program, folders, form):
    run = [program, "scan", "--format", form] + (["--sessions"] if form == "json" else [])
    done = subprocess.run(run + [str(folder) for folder in folders], capture_output=True)
    return done.stdout


def backfill(program, folders):
    command = [program, "backfill", "--since", "2024-01-01", "--until", "2026-11-01"]
    return subprocess.run(command + [str(folder) for folder in folders], capture_output=True).stdout


class Sink:
    """Takes OTLP requests, and keeps the spans in them as bytes, in the order of their ids."""

    def __init__(self):
        self.bodies = []
        sink = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                sink.bodies.append(body)
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.address = f"http://127.0.0.1:{self.server.server_port}"


def fetch(address, path, accept="*/*"):
    request = urllib.request.Request(address + path, headers={"Accept": accept})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.read()
    except urllib.error.HTTPError as error:
        return b"%d " % error.code + error.read()


def without_the_moment(metrics):
    lines = [line for line in metrics.split(b"\n") if not OF_THE_MOMENT.match(line)]
    # When a series of the present began, and since when the sidecar runs.
    return b"\n".join(line for line in lines if b"_created" not in line)


def live(program, projects, settings):
    """Everything that a sidecar says, by name."""
    said = {}
    sink = Sink()
    with tempfile.TemporaryDirectory() as folder:
        config = pathlib.Path(folder) / "tailspan.toml"
        config.write_text(settings)
        command = [program, "--config", str(config), "run", "--projects", str(projects), "--state", folder + "/state"]
        command += ["--listen", "127.0.0.1:0", "--otlp-endpoint", sink.address, "--traces-history-since", "all"]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        address = None
        for line in process.stderr:
            found = re.search(r"address=(\S+)", line)
            if found:
                address = "http://" + found.group(1)
                break
        threading.Thread(target=process.stderr.read, daemon=True).start()
        while fetch(address, "/-/ready")[:4] == b"503 ":
            time.sleep(0.1)
        settled = -1
        while settled != len(sink.bodies) or not sink.bodies:
            settled = len(sink.bodies)
            time.sleep(2.5)
        for accept in ("text/plain", "application/openmetrics-text"):
            said["/metrics " + accept] = without_the_moment(fetch(address, "/metrics", accept))
        sessions = "/api/v1/analytics/sessions"
        said[sessions] = fetch(address, sessions + "?limit=1000")
        for session in json.loads(said[sessions])["sessions"]:
            one = f"{sessions}/{urllib.parse.quote(session['id'])}"
            said[one] = fetch(address, one)
            said[one + "/replay"] = fetch(address, one + "/replay?limit=1000")
        said["/jaeger v1"] = fetch(address, "/jaeger/api/traces?service=claude-code&limit=1000")
        ever = "query.startTimeMin=2000-01-01T00:00:00Z&query.startTimeMax=2100-01-01T00:00:00Z"
        said["/jaeger v3"] = fetch(address, f"/jaeger/api/v3/traces?{ever}&query.searchDepth=1000")
        process.terminate()
        process.wait()
    said["spans at the endpoint"] = b"\n".join(sorted(sink.bodies))
    return said


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("old")
    parser.add_argument("new")
    parser.add_argument("--corpus", type=pathlib.Path)
    args = parser.parse_args()
    programs = (args.old, args.new)
    recordings = sorted((ROOT / "fixtures/recordings").glob("*/*/projects"))
    fixtures = sorted((ROOT / "fixtures").glob("*/projects"))
    sets = [[folder] for folder in recordings + fixtures] + [recordings]
    sets += [[args.corpus / ".claude/projects"]] if args.corpus else []
    compared = differing = 0

    def compare(what, old, new):
        nonlocal compared, differing
        compared += 1
        if old != new:
            differing += 1
            at = next((i for i, (a, b) in enumerate(zip(old, new)) if a != b), min(len(old), len(new)))
            print(f"{what}: {len(old)} and {len(new)} bytes, apart from byte {at}:")
            print("  old", old[max(0, at - 60) : at + 100], "\n  new", new[max(0, at - 60) : at + 100])

    for folders in sets:
        name = folders[0] if len(folders) == 1 else f"{len(folders)} recordings"
        for form in ("json", "prometheus", "trace"):
            compare(f"scan {form} {name}", *(scan(program, folders, form) for program in programs))
        compare(f"backfill {name}", *(backfill(program, folders) for program in programs))
    with tempfile.TemporaryDirectory() as folder:
        projects = pathlib.Path(folder) / "projects"
        for recording in recordings:
            shutil.copytree(recording, projects, dirs_exist_ok=True)
        for settings in ("", '[traces]\ncontent = "content"\nprofile = ["openinference"]\n'):
            # What Jaeger's API says of text is new where it was left out before.
            old, new = (live(program, projects, settings) for program in programs)
            for what in sorted(old.keys() | new.keys()):
                if not (settings and what.startswith("/jaeger")):
                    compare(f"run {settings!r} {what}", old.get(what, b""), new.get(what, b""))
    print(f"{compared} outputs compared, {differing} differ")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
