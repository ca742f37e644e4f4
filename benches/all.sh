#!/usr/bin/env bash
# Every benchmark in turn: builds, makes the corpora, installs the peers, prints the tables of docs/performance.md.
set -eu
cd "$(dirname "$0")/.."
cargo build --release
python3 benches/scan.py
python3 benches/scan.py --growth
python3 benches/sidecar.py
python3 benches/giant.py
