#!/usr/bin/env python3
"""What an archive costs: making and checking the copies of a corpus, and answers that are read from copies beside the same
answers of the files.

    python3 benches/gen_corpus.py --files 5000 --mb 2000 --seed 1 CORPUS
    python3 benches/archive.py target/release/tailspan CORPUS/.claude/projects

The files of the corpus are not touched: the second sidecar reads a folder of links to them, which is removed.
"""

import json
import os
import pathlib
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

LISTEN = "127.0.0.1:19721"
QUESTIONS = ["migration", "\"cannot found\"", "retryDelayMs", "qqqqzzzz"]


def get(path):
    return urllib.request.urlopen(f"http://{LISTEN}{path}").read()


def run(*command):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begun = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    took = time.monotonic() - begun
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return done.stdout.strip().splitlines()[0], took, cpu


def size(folder):
    return sum(path.stat().st_size for path in pathlib.Path(folder).rglob("*") if path.is_file())


def start(program, projects, folder):
    command = [program, "run", "--projects", projects, "--state", f"{folder}/state", "--listen", LISTEN]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while True:
        try:
            get("/-/ready")
            return process
        except OSError:
            time.sleep(0.1)


def timed(path, times):
    took = []
    for _ in range(times):
        begun = time.monotonic()
        get(path)
        took.append((time.monotonic() - begun) * 1000)
    return f"{statistics.median(took):8.1f} ms median {sorted(took)[int(len(took) * 0.95)]:8.1f} ms p95"


def ask(sessions):
    print(f"  replay, first page       {each(sessions, '/replay?limit=100')}")
    for words in QUESTIONS:
        print(f"  search {words:18}{timed('/api/v1/analytics/search?q=' + urllib.parse.quote(words), 9)}")


def each(sessions, rest):
    took = []
    for session in sessions:
        begun = time.monotonic()
        get(f"/api/v1/analytics/sessions/{session}{rest}")
        took.append((time.monotonic() - begun) * 1000)
    return f"{statistics.median(took):8.1f} ms median {sorted(took)[int(len(took) * 0.95)]:8.1f} ms p95"


def main(program, corpus):
    with tempfile.TemporaryDirectory() as folder:
        projects = f"{folder}/projects"
        shutil.copytree(corpus, projects, copy_function=os.link)
        process = start(program, projects, folder)
        get("/api/v1/analytics/costs")
        # The index of search is built meanwhile.
        while b"tailspan_initial_scan_complete 1" not in get("/metrics"):
            time.sleep(0.1)
        time.sleep(20)
        listed = json.loads(get("/api/v1/analytics/sessions?limit=200"))["sessions"]
        sessions = [session["id"] for session in listed]
        print("answers of the files")
        ask(sessions)
        process.terminate()
        process.wait()
        told, took, cpu = run(program, "archive", "import", projects, "--state", f"{folder}/state")
        stored = size(f"{folder}/state/archive")
        print(f"copies: {told}: {took:.1f} s, {cpu:.1f} CPU s; {stored / 1e6:.0f} MB, {stored / size(projects):.3f} of the files")
        told, took, cpu = run(program, "archive", "verify", "--state", f"{folder}/state")
        print(f"verify: {told}: {took:.1f} s, {cpu:.1f} CPU s")
        shutil.rmtree(projects)
        os.mkdir(projects)
        process = start(program, projects, folder)
        get("/api/v1/analytics/costs")
        time.sleep(20)
        print("answers of the copies, the files are gone")
        ask(sessions)
        process.terminate()
        process.wait()


main(sys.argv[1], sys.argv[2])
