#!/usr/bin/env python3
"""What exports of a corpus cost: rows a second, and memory above that of the idle sidecar.

    python3 benches/gen_corpus.py --files 5000 --mb 2000 --seed 1 CORPUS
    python3 benches/export.py target/release/tailspan CORPUS/.claude/projects
"""

import os
import pathlib
import subprocess
import sys
import tempfile
import time
import urllib.request

FILES = [
    "messages.ndjson", "messages.json", "messages.csv", "messages.parquet", "tools.ndjson", "tools.parquet", "turns.parquet",
    "costs.parquet", "sessions.parquet",
]
LISTEN = "127.0.0.1:19719"


def get(path):
    return urllib.request.urlopen(f"http://{LISTEN}{path}")


def status(process, name):
    for line in pathlib.Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) / 1024
    raise KeyError(name)


def cpu(process):
    fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main(program, projects):
    with tempfile.TemporaryDirectory() as folder:
        command = [program, "run", "--projects", projects, "--state", f"{folder}/state", "--listen", LISTEN]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            while True:
                try:
                    get("/-/ready")
                    break
                except OSError:
                    time.sleep(0.2)
            # The sums of all sessions, which the first question loads.
            get("/api/v1/analytics/costs").read()
            rows = {}
            for file in FILES:
                table = file.split(".")[0]
                if table not in rows:
                    rows[table] = get(f"/api/v1/export/{table}.ndjson").read().count(b"\n")
                idle = status(process, "VmRSS")
                pathlib.Path(f"/proc/{process.pid}/clear_refs").write_text("5")
                before, begun, size = cpu(process), time.monotonic(), 0
                answer = get(f"/api/v1/export/{file}")
                while piece := answer.read(1 << 20):
                    size += len(piece)
                took, used = time.monotonic() - begun, cpu(process) - before
                print(
                    f"{file:18} {rows[table]:8} rows {size / 1e6:7.1f} MB {took:6.2f} s {used:6.2f} CPU s"
                    f" {rows[table] / max(used, 0.01):10.0f} rows/CPU s {status(process, 'VmHWM') - idle:6.1f} MB above idle"
                )
        finally:
            process.terminate()
            process.wait()


main(sys.argv[1], sys.argv[2])
