#!/usr/bin/env python3
"""How long `tailspan hook` takes as a process: from its start to its end, as the client waits for it.

    benches/hook.py [--program target/release/tailspan] [--runs 2000]

Each run is given what the client 2.1.332 writes for a PermissionRequest (with an input of a tool of 2 kB), a Stop, and a
Write of 1 MB. Beside it stands `true`, the least that a process can take here. Prints milliseconds: median, 99th
percentile, most; and fails if the 99th percentile of a usual event is above 5 ms.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

COMMON = {"session_id": "6258a1b0-0000-4000-8000-000000000001", "transcript_path": "/home/dev/.claude/projects/x/y.jsonl",
          "cwd": "/home/dev/x", "permission_mode": "default"}
EVENTS = {
    "PermissionRequest": COMMON | {"hook_event_name": "PermissionRequest", "tool_name": "Bash",
                                   "tool_input": {"command": "x" * 2000}, "permission_suggestions": []},
    "Stop": COMMON | {"hook_event_name": "Stop", "stop_hook_active": False, "last_assistant_message": "Done. " * 50},
    "PermissionRequest of 1 MB": COMMON | {"hook_event_name": "PermissionRequest", "tool_name": "Write",
                                           "tool_input": {"content": "line\n" * 200_000}},
}


def timed(command, text, environment):
    began = time.perf_counter()
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env=environment)
    try:
        process.stdin.write(text)
        process.stdin.close()
    except BrokenPipeError:
        pass
    code = process.wait()
    assert code == 0, code
    return (time.perf_counter() - began) * 1000


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default="target/release/tailspan")
    parser.add_argument("--runs", type=int, default=2000)
    options = parser.parse_args()
    program = os.path.abspath(options.program)
    slow = []
    with tempfile.TemporaryDirectory() as state:
        environment = {"TAILSPAN_STATE": state, "HOME": state}
        print(f"{'ms':28}{'p50':>8}{'p99':>8}{'max':>8}")
        cases = [("true", ["/bin/true"], b"")]
        cases += [(name, [program, "hook"], json.dumps(event).encode()) for name, event in EVENTS.items()]
        for name, command, text in cases:
            taken = sorted(timed(command, text, environment) for _ in range(options.runs))
            p99 = taken[len(taken) * 99 // 100]
            print(f"{name:28}{taken[len(taken) // 2]:8.2f}{p99:8.2f}{taken[-1]:8.2f}")
            if p99 > 5 and "MB" not in name and name != "true":
                slow.append(name)
        lines = sum(len(open(os.path.join(state, "hooks", name)).readlines()) for name in os.listdir(f"{state}/hooks"))
        assert lines == options.runs * len(EVENTS), lines
    sys.exit(f"above 5 ms: {', '.join(slow)}" if slow else 0)


if __name__ == "__main__":
    main()
