#!/usr/bin/env python3
"""CPU, wall time and peak memory of `tailspan scan`, beside ccusage and aiburn, on one generated corpus.

usage: scan.py [--files 1000] [--mb 500] [--seed 7] [--rounds 5]

The programs take turns, each once per round on a warm page cache; the median counts. Ratios are tailspan over the
peer: below 1 tailspan needs less. The totals of tailspan are compared with the corpus' truth.json first.
Peers come from PATH (`npm i -g ccusage@20.0.24`, `pip install aiburn==0.4.5`); a peer that is absent is named.
Build first: `cargo build --release`.
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def measure(command, home):
    """CPU seconds, wall seconds and peak memory in MB of one run, its children included."""
    env = {"HOME": home, "PATH": os.environ["PATH"]}
    started = time.perf_counter()
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - started
    if status != 0:
        sys.exit(f"{command[0]} failed with wait status {status}")
    return usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1024


def check(binary, home):
    """Ends the benchmark when the answer is wrong: a fast wrong answer is worth nothing."""
    env = {"HOME": home, "PATH": os.environ["PATH"]}
    answer = json.loads(subprocess.check_output([binary, "scan", "--format", "json"], env=env))
    truth = json.loads(Path(home, "truth.json").read_text())
    kinds = {"input": "input", "output": "output", "cache_read": "cread", "cache_write_5m": "cw5m", "cache_write_1h": "cw1h"}
    for dated, wanted in truth["by_model"].items():
        model = answer["models"][dated.rpartition("-")[0]]
        ours = {theirs: model["tokens"][own] for own, theirs in kinds.items()} | {"messages": model["messages"]}
        if ours != wanted:
            sys.exit(f"{dated}: tailspan says {ours}, the corpus holds {wanted}")


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--files", type=int, default=1000)
    arguments.add_argument("--mb", type=float, default=500)
    arguments.add_argument("--seed", type=int, default=7)
    arguments.add_argument("--rounds", type=int, default=5)
    given = arguments.parse_args()
    binary = str(ROOT / "target/release/tailspan")
    programs = {"tailspan": [binary, "scan"]}
    for name, command in {"aiburn": ["aiburn"], "ccusage": ["ccusage", "daily", "--offline"]}.items():
        if shutil.which(name):
            programs[name] = command
        else:
            print(f"{name} is not on the PATH: left out")
    with tempfile.TemporaryDirectory() as home:
        size = ["--files", str(given.files), "--mb", str(given.mb), "--seed", str(given.seed)]
        subprocess.run([sys.executable, ROOT / "benches/gen_corpus.py", home, *size], check=True, stdout=subprocess.DEVNULL)
        check(binary, home)
        rounds = {name: [] for name in programs}
        for _ in range(given.rounds):
            for name, command in programs.items():
                rounds[name].append(measure(command, home))
    medians = {name: [statistics.median(column) for column in zip(*runs)] for name, runs in rounds.items()}
    print(f"{given.mb:g} MB in {given.files} files, seed {given.seed}, median of {given.rounds}")
    print(f"{'':10}{'CPU s':>8}{'wall s':>8}{'peak MB':>9}   tailspan / this: CPU, wall, memory")
    for name, figures in medians.items():
        ratios = "  ".join(f"{ours / theirs:.2f}" for ours, theirs in zip(medians["tailspan"], figures))
        print(f"{name:10}{figures[0]:8.2f}{figures[1]:8.2f}{figures[2]:9.0f}   {ratios}")


if __name__ == "__main__":
    main()
