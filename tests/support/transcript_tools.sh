#!/usr/bin/env bash
# Installs what tests/behaviour/transcript_perfetto.rs and transcript_asciicast.rs read exported sessions with, into
# target/transcript-tools. Without it those tests are skipped, except where CI=true.
set -eu
cd "$(dirname "$0")/../.."
tools=target/transcript-tools
mkdir -p "$tools"
python3 -m venv "$tools/venv"
# The messages of Perfetto's traces as Google publishes them; their trace processor would be fetched from the web at each start.
"$tools/venv/bin/pip" install --quiet perfetto==0.59.1 protobuf==7.36.2
# The player that people put on pages; node runs it without one.
npm install --prefix "$tools" --no-audit --no-fund --silent asciinema-player@3.18.0
