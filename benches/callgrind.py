#!/usr/bin/env python3
"""Instructions of each stage of `benches/micro.rs`, counted by valgrind: the same in every run, however busy the machine.

usage: callgrind.py [STAGE]...      (split, read, parse, heavy, fold, commit; all of them if none is named)

Each stage runs once over 4 MB in 8 files (benches/gen_corpus.py, seed 7), and only what happens inside of it is counted.
`commit` has threads of the database beside it and random hash seeds: it varies by about a percent, the others by less
than a thousandth. valgrind knows AVX2 and no AVX-512: what the program chooses at run time (memchr, fearless_simd) is the path
for AVX2.
"""
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STAGES = ["split", "read", "parse", "heavy", "fold", "commit"]


def built():
    """The benchmark with its symbols, which the release profile strips: callgrind knows stages by them."""
    command = ["cargo", "rustc", "--release", "--bench", "micro", "--message-format", "json", "--", "-C", "strip=none"]
    lines = subprocess.check_output(command, cwd=ROOT, text=True).splitlines()
    artifacts = [json.loads(line) for line in lines if line.startswith("{")]
    return next(a["executable"] for a in artifacts if a.get("executable") and a["target"]["name"] == "micro")


def count(program, stage, out):
    command = [
        "valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", "--collect-atstart=no",
        f"--toggle-collect=*stage_{stage}*", program, "--once", stage,
    ]
    run = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    collected = re.search(r"Collected : (\d+)", run.stderr)
    done = re.search(rf"^{stage} (\d+) (\d+)$", run.stdout, re.MULTILINE)
    if run.returncode != 0 or not collected or not done:
        sys.exit(f"callgrind failed for {stage}:\n{run.stderr}")
    return int(collected.group(1)), int(done.group(1)), int(done.group(2))


def main():
    if any(argument in ("-h", "--help") or argument not in STAGES for argument in sys.argv[1:]):
        sys.exit(__doc__)
    program = built()
    print(f"{'':8}{'instructions':>16}{'per line':>12}{'per byte':>10}")
    with tempfile.TemporaryDirectory() as folder:
        for stage in sys.argv[1:] or STAGES:
            instructions, operations, size = count(program, stage, f"{folder}/{stage}")
            unit = "  (per commit)" if stage == "commit" else ""
            print(f"{stage:8}{instructions:16,}{instructions / operations:12,.0f}{instructions / size:10.2f}{unit}")


if __name__ == "__main__":
    main()
