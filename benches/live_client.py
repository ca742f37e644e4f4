#!/usr/bin/env python3
"""Runs the real client against a mock of its API, through `tailspan stream` into a sidecar, and compares what the sidecar
counts with what the mock served.

usage: live_client.py TAILSPAN RIG CLIENT [SCENARIO...] [--mode with|without|dies]

RIG is the folder of the driver of the recordings (`scenario.py`), CLIENT the client's program; CLAUDE_RIG_HOME says where
the driver works. Modes: with a sidecar that runs all the time, without one until the client has ended, and with one that is
killed two seconds after the client starts and comes back after its end. Run it once at a time: the driver works in one
folder. Further scenarios are in `live_scenarios.py`. Not for CI: it needs the client.
"""
import argparse
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

SCENARIOS = [
    "a_plain", "b_tools", "e1_subagent", "e3_subagent_background", "e6_subagent_sync", "g_resume", "i2_sigint_stream",
    "j1_kill9_tool", "j2_kill9_stream", "k1_compact_manual", "aa_partial_messages", "ao_no_persistence", "bc_slow_reader",
    "bd_sigterm", "bg_tui_clear_midrun",
    "nested_agents", "nested_agents_background", "clear_on_stdin",
]
KINDS = ("input", "output", "cache_read", "cache_write_5m", "cache_write_1h")
HERE = pathlib.Path(__file__).resolve().parent


def get(port, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=20) as answer:
        return json.load(answer)


class Sidecar:
    def __init__(self, tailspan, folder):
        self.tailspan, self.folder = tailspan, folder
        self.port = None
        self.process = None

    def start(self):
        log = self.folder / "log"
        port = self.port or 0
        self.process = subprocess.Popen(
            [self.tailspan, "run", "--projects", str(self.folder / "config/projects"), "--state", str(self.folder / "state"),
             "--listen", f"127.0.0.1:{port}"], stderr=open(log, "ab"), env={**os.environ, "HOME": str(self.folder)})
        deadline = time.time() + 30
        while time.time() < deadline:
            text = log.read_text() if log.exists() else ""
            found = [line for line in text.splitlines() if "127.0.0.1:" in line]
            for line in reversed(found):
                number = line.split("127.0.0.1:")[1].split("/")[0].split()[0].strip('",')
                if number.isdigit() and number != "0":
                    try:
                        urllib.request.urlopen(f"http://127.0.0.1:{number}/-/ready", timeout=1)
                        self.port = int(number)
                        return
                    except OSError:
                        pass
            time.sleep(0.05)
        sys.exit(f"the sidecar does not start: {log.read_text()}")

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        self.process.terminate()
        self.process.wait()


def served_tokens(rig_home, name):
    served = json.loads((rig_home / "corpus" / name / "served_usage.json").read_text())
    served = served if isinstance(served, list) else served["served"]
    sums = dict.fromkeys(KINDS, 0)
    for call in served:
        usage = call.get("usage") or {}
        if call.get("status") != 200:
            continue
        split = usage.get("cache_creation") or {}
        hour = split.get("ephemeral_1h_input_tokens", 0)
        sums["input"] += usage.get("input_tokens", 0)
        sums["output"] += usage.get("output_tokens", 0)
        sums["cache_read"] += usage.get("cache_read_input_tokens", 0)
        sums["cache_write_1h"] += hour
        sums["cache_write_5m"] += usage.get("cache_creation_input_tokens", 0) - hour
    return sums


def told(port):
    """Tokens of all sessions, and what the client counted beyond them, with reasons."""
    sums, rest, reasons, outcomes = dict.fromkeys(KINDS, 0), dict.fromkeys(KINDS, 0), set(), []
    for session in get(port, "/api/v1/analytics/sessions?limit=1000")["sessions"]:
        detail = get(port, f"/api/v1/analytics/sessions/{session['id']}")
        for kind in KINDS:
            sums[kind] += detail["session"]["tokens"][kind]
        for model in ((detail["client_reported"] or {}).get("models") or {}).values():
            for kind in ("input", "output", "cache_read"):
                rest[kind] += model["unattributed_tokens"][kind]
            rest["cache_write_5m"] += model["unattributed_tokens"]["cache_write"]
        reasons |= {reason["reason"] for reason in detail["correlation"]["reasons"]}
        outcomes.append((detail["correlation"]["events"], detail["correlation"]["is_final"], detail["correlation"]["delay_seconds"]))
    return sums, rest, sorted(reasons), outcomes


def run(arguments, name):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="live-"))
    sidecar = Sidecar(arguments.tailspan, folder)
    rig_home = pathlib.Path(os.environ["CLAUDE_RIG_HOME"])
    (folder / "config/projects").mkdir(parents=True)
    if arguments.mode != "without":
        sidecar.start()
    listen = f"127.0.0.1:{sidecar.port or 1}"
    environment = {
        **os.environ, "CLIENT": arguments.client, "TAILSPAN": arguments.tailspan,
        "STREAM_ARGUMENTS": f"--workflow demo --listen {listen} --state {folder / 'state'}",
    }
    wrapper = folder / "claude"
    keep = {key: environment[key] for key in ("CLIENT", "TAILSPAN", "STREAM_ARGUMENTS")}
    exports = "".join(f"export {key}='{value}'\n" for key, value in keep.items())
    wrapper.write_text(f"#!/bin/bash\n{exports}exec {sys.executable} {HERE.parent / 'tests/support/through_stream.py'} \"$@\"\n")
    wrapper.chmod(0o755)
    driver = subprocess.Popen(
        [sys.executable, str(HERE / "live_scenarios.py"), arguments.rig, "run", name,
         "--config-dir", str(folder / "config"), "--bin", str(wrapper)],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if arguments.mode == "dies":
        time.sleep(2)
        sidecar.kill()
    output, _ = driver.communicate(timeout=300)
    if arguments.mode != "with":
        sidecar.start()
    served = served_tokens(rig_home, name)
    deadline = time.time() + 20
    while True:
        sums, rest, reasons, outcomes = told(sidecar.port)
        if all(final for _, final, _ in outcomes) and outcomes or time.time() > deadline:
            break
        time.sleep(0.3)
    workflow = get(sidecar.port, "/api/v1/analytics/costs?workflow=demo")["total"]
    sidecar.stop()
    equal = all(served[kind] == sums[kind] for kind in KINDS)
    explained = all(served[kind] <= sums[kind] + rest[kind] for kind in KINDS)
    verdict = "equal" if equal else "explained" if explained else "DIFFERS"
    print(f"{name:28} {arguments.mode:8} {verdict:10} served {sum(served.values()):7} told {sum(sums.values()):7} "
          f"rest {sum(rest.values()):6} {','.join(reasons)} workflow {workflow['cost_usd']} "
          + "; ".join(f"both {events['both']} stream {events['only_stream']} file {events['only_file']}" for events, _, _ in outcomes))
    if verdict == "DIFFERS":
        print("   served", served, "\n   told  ", sums, "\n   rest  ", rest)
    if driver.returncode:
        print(output.decode(errors="replace")[-600:])
    return verdict != "DIFFERS"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tailspan", type=os.path.abspath)
    parser.add_argument("rig", type=os.path.abspath)
    parser.add_argument("client", type=os.path.abspath)
    parser.add_argument("scenarios", nargs="*", default=SCENARIOS)
    parser.add_argument("--mode", choices=("with", "without", "dies"), default="with")
    arguments = parser.parse_args()
    results = [run(arguments, name) for name in arguments.scenarios or SCENARIOS]
    print(f"{sum(results)} of {len(results)} told all that was served, or named the rest")
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
