#!/usr/bin/env python3
"""Draws terminal text as SVG: picture.py OUT.svg < TEXT. Lines that begin with "$ " are commands."""
import html
import sys

lines = sys.stdin.read().rstrip("\n").split("\n")
width = max(len(line) for line in lines) * 7.85 + 40
height = len(lines) * 18 + 40
rows = []
for number, line in enumerate(lines):
    colour = "#7ee787" if line.startswith("$ ") else "#8b949e" if line.startswith("#") else "#e6edf3"
    rows.append(f'<text x="20" y="{30 + number * 18}" fill="{colour}">{html.escape(line)}</text>')
with open(sys.argv[1], "w") as out:
    out.write(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height}" font-size="13" xml:space="preserve" '
        'font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, DejaVu Sans Mono, monospace">'
        f'<rect width="100%" height="100%" rx="8" fill="#0d1117"/>{"".join(rows)}</svg>\n'
    )
