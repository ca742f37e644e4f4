#!/usr/bin/env python3
"""CPU, wall time and peak memory of `tailspan scan`, beside ccusage and aiburn, on generated corpora.

usage: scan.py [--files 1000] [--mb 500] [--seed 7] [--rounds 5] [--growth] [--work FOLDER]

The programs take turns, each once per round on a warm page cache; the median counts. Ratios are tailspan over the
peer: below 1 tailspan needs less. The totals of tailspan are compared with the corpus' truth.json first.
`--growth` measures 125 MB, 500 MB and 2 GB and prints time and memory per GB.
Peers are installed below FOLDER (default: target/bench). Build first: `cargo build --release`.
"""
import argparse
import statistics
from pathlib import Path

from common import BINARY, ROOT, check, corpus, measure, peers

GROWTH = [(250, 125), (1000, 500), (5000, 2000)]


def medians(home, programs, rounds):
    runs = {name: [] for name in programs}
    for _ in range(rounds):
        for name, command in programs.items():
            runs[name].append(measure(command, home))
    return {name: [statistics.median(column) for column in zip(*figures)] for name, figures in runs.items()}


def beside_peers(given, programs):
    home = corpus(given.work / f"{given.mb:g}mb", given.files, given.mb, given.seed)
    check(home)
    figures = medians(home, programs, given.rounds)
    print(f"{given.mb:g} MB in {given.files} files, seed {given.seed}, median of {given.rounds}")
    print(f"{'':10}{'CPU s':>8}{'wall s':>8}{'peak MB':>9}   tailspan / this: CPU, wall, memory")
    for name, row in figures.items():
        ratios = "  ".join(f"{ours / theirs:.2f}" for ours, theirs in zip(figures["tailspan"], row))
        print(f"{name:10}{row[0]:8.2f}{row[1]:8.2f}{row[2]:9.0f}   {ratios}")


def growth(given, programs):
    print(f"{'corpus':24}{'program':10}{'CPU s':>8}{'per GB':>8}{'wall s':>8}{'per GB':>8}{'peak MB':>9}{'per GB':>8}")
    for files, mb in GROWTH:
        home = corpus(given.work / f"{mb:g}mb", files, mb, given.seed)
        check(home)
        for name, (cpu, wall, peak) in medians(home, programs, max(1, given.rounds // 2)).items():
            gb = mb / 1000
            label = f"{mb:g} MB, {files} files"
            print(f"{label:24}{name:10}{cpu:8.2f}{cpu / gb:8.2f}{wall:8.2f}{wall / gb:8.2f}{peak:9.0f}{peak / gb:8.0f}")


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--files", type=int, default=1000)
    arguments.add_argument("--mb", type=float, default=500)
    arguments.add_argument("--seed", type=int, default=7)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--growth", action="store_true")
    arguments.add_argument("--work", type=Path, default=ROOT / "target/bench")
    given = arguments.parse_args()
    programs = {"tailspan": [BINARY, "scan"]} | peers(given.work / "peers")
    if given.growth:
        growth(given, programs)
    else:
        beside_peers(given, programs)


if __name__ == "__main__":
    main()
