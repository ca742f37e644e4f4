#!/usr/bin/env python3
"""Writes the transcript in docs/reports.md again: the five questions, asked about a generated year.

    python3 docs/reports.py target/debug/tailspan

The year is that of benches/gen_corpus.py, with titles.
"""

import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile

TOP = pathlib.Path(__file__).resolve().parent.parent
DOCUMENT = TOP / "docs" / "reports.md"
BEGIN, END = "<!-- transcript -->\n", "<!-- end of transcript -->"
NOW = "2026-11-27T17:00:00Z"

CONFIGURATION = """
[[budgets]]
name = "month"
usd = 8
period = "month"
tz = "Europe/Berlin"
"""

QUESTIONS = [
    ("What did this week cost, and why?", "costs"),
    ("Which tool is slow?", "tools"),
    ("What should I change?", "patterns --since all --limit 4"),
    ("Will I stay in budget?", "costs --since month --by week"),
    ("What happened on Tuesday?", "sessions --on tuesday"),
]

DONE = ["Fix", "Explain", "Speed up", "Rename", "Test", "Review", "Document", "Upgrade"]
WHAT = ["the login form", "flaky retries", "the import of invoices", "search results", "the cache of prices", "error pages",
        "the nightly build", "old migrations", "the release notes", "a slow query"]


def titled(home):
    """Gives every session a title, the same at each run."""
    dice = random.Random(7)
    for path in sorted((home / ".claude" / "projects").glob("*/*.jsonl")):
        title = f"{dice.choice(DONE)} {dice.choice(WHAT)}"
        row = {"type": "ai-title", "aiTitle": title, "sessionId": path.stem}
        with path.open("a") as file:
            file.write(json.dumps(row) + "\n")


def asked(program, home, report):
    """What the report prints."""
    settings = home / "tailspan.toml"
    settings.write_text(CONFIGURATION)
    command = [program, "report", *report.split(), "--scan", "--listen", "127.0.0.1:9", "--now", NOW]
    command += ["--config", str(settings)]
    environment = {"HOME": str(home), "TZ": "Europe/Berlin", "LANG": "C.UTF-8", "TAILSPAN_LOG": "off"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


def main():
    program = os.path.abspath(sys.argv[1])
    parts = []
    with tempfile.TemporaryDirectory() as folder:
        home = pathlib.Path(folder)
        corpus = [sys.executable, str(TOP / "benches" / "gen_corpus.py"), folder, "--files", "900", "--mb", "70"]
        subprocess.run([*corpus, "--months", "12", "--end", "2026-11-27", "--seed", "5"], check=True, stdout=subprocess.DEVNULL)
        titled(home)
        for question, report in QUESTIONS:
            text = asked(program, home, report)
            shown = "".join(f"    {line}".rstrip() + "\n" for line in text.splitlines())
            parts.append(f"### {question}\n\n    $ tailspan report {report}\n\n{shown}\n")
    text = DOCUMENT.read_text()
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    DOCUMENT.write_text(before + BEGIN + "\n" + "".join(parts) + END + after)


main()
