#!/usr/bin/env python3
"""What a further turn costs the sidecar in a run that has had many, of a session without a session file.

    python3 benches/long_run.py [--turns 10 1000 4000] [--further 8] [PROGRAM]

A host keeps one process of the client for so many turns, and passes its lines on (`POST /api/v1/events`). Each further turn is
settled before the next one comes. Prints, for each number of turns: CPU of a further turn (mean), what was written to the disk
for one (median), and the peak memory.
"""

import argparse
import json
import re
import statistics
import subprocess
import tempfile
import time
import urllib.request
import uuid
from pathlib import Path

from common import BINARY, environment

SETTLED_SECONDS = 6  # A turn waits for its session file at first.
AT_ONCE = 200


def turn(session, number):
    """The lines of a turn."""
    of = {"session_id": session, "uuid": str(uuid.uuid4())}
    usage = {"input_tokens": 5, "output_tokens": 7}
    message = {
        "id": f"msg_{number}", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5", "stop_reason": "end_turn",
        "content": [{"type": "text", "text": "hi"}], "usage": usage,
    }
    cost = 0.001 * (number + 1)
    model = {"inputTokens": 5 * (number + 1), "outputTokens": 7 * (number + 1), "costUSD": cost}
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())
    lines = [
        of | {"type": "system", "subtype": "init", "cwd": "/w"},
        of | {"type": "assistant", "uuid": str(uuid.uuid4()), "timestamp": stamp, "message": message},
        of | {
            "type": "result", "subtype": "success", "uuid": str(uuid.uuid4()), "is_error": False, "duration_ms": 100,
            "num_turns": 1, "total_cost_usd": cost, "modelUsage": {"claude-sonnet-4-5": model},
        },
    ]
    return "".join(json.dumps(line) + "\n" for line in lines)


def listening(log):
    """The address that the sidecar says it listens on."""
    while not (found := re.search(r"127\.0\.0\.1:[1-9]\d+", log.read_text())):
        time.sleep(0.1)
    return found[0]


def spent(process):
    """CPU seconds and bytes written so far."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    written = re.search(r"^write_bytes: (\d+)", Path(f"/proc/{process.pid}/io").read_text(), re.MULTILINE)
    return (int(fields[11]) + int(fields[12])) / 100, int(written[1])


def quiet(process):
    """What was spent until nothing is left to do of the many turns that came at once."""
    before = spent(process)
    while True:
        time.sleep(2 * SETTLED_SECONDS)
        now = spent(process)
        if now[0] - before[0] <= 0.02 and now[1] == before[1]:
            return now
        before = now


def measure(program, turns, further):
    with tempfile.TemporaryDirectory() as folder:
        home, session, run = Path(folder), str(uuid.uuid4()), str(uuid.uuid4())
        (home / "projects").mkdir()
        command = [program, "run", "--projects", home / "projects", "--state", home / "state", "--listen", "127.0.0.1:0"]
        with open(home / "log", "wb") as log:
            process = subprocess.Popen(command, stderr=log, env=environment(home))
        try:
            address = listening(home / "log")

            def post(first, count):
                body = "".join(turn(session, number) for number in range(first, first + count)).encode()
                headers = {"Content-Type": "application/x-ndjson", "Tailspan-Run": run}
                urllib.request.urlopen(urllib.request.Request(f"http://{address}/api/v1/events", body, headers)).read()

            for first in range(0, turns, AT_ONCE):
                post(first, min(AT_ONCE, turns - first))
            seen = [quiet(process)]
            for number in range(further):
                post(turns + number, 1)
                time.sleep(SETTLED_SECONDS)
                seen.append(spent(process))
            cpu = (seen[-1][0] - seen[0][0]) / further
            # Now and then the database moves much at once to make room.
            written = statistics.median(now[1] - before[1] for before, now in zip(seen, seen[1:]))
            peak = re.search(r"VmHWM:\s*(\d+)", Path(f"/proc/{process.pid}/status").read_text())
            print(f"{turns:8}{cpu * 1000:10.1f}{written / 1024:14.0f}{int(peak[1]) / 1024:9.0f}", flush=True)
        finally:
            process.terminate()
            process.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", nargs="?", default=BINARY)
    parser.add_argument("--turns", type=int, nargs="+", default=[10, 1000, 4000])
    parser.add_argument("--further", type=int, default=8)
    options = parser.parse_args()
    print(f"{'turns':>8}{'CPU ms':>10}{'written KiB':>14}{'peak MB':>9}")
    for turns in options.turns:
        measure(options.program, turns, options.further)


if __name__ == "__main__":
    main()
