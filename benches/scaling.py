#!/usr/bin/env python3
"""Counts what one tailspan makes out of a folder of session files: series, size of a scrape, spans, bytes per span.

    python3 benches/gen_corpus.py /tmp/corpus --files 250 --mb 125
    python3 benches/scaling.py /tmp/corpus/.claude/projects [target/release/tailspan]

All turns of the past are exported to a receiver in this process. The state is in a folder that is removed afterwards.
"""

import gzip
import http.server
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

OPENMETRICS = "application/openmetrics-text;version=1.0.0"
DEADLINE_SECONDS = 900
received = {"requests": 0, "encoded": 0, "sent": 0}


class Receiver(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        packed = self.headers.get("Content-Encoding") == "gzip"
        received["requests"] += 1
        received["sent"] += len(body)
        received["encoded"] += len(gzip.decompress(body) if packed else body)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def main():
    corpus = sys.argv[1]
    program = sys.argv[2] if len(sys.argv) > 2 else "target/release/tailspan"
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = free_port()

    def get(path, **headers):
        request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.read()

    def value(text, name):
        lines = [line for line in text.splitlines() if line.startswith((name + " ", name + "{"))]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines)

    with tempfile.TemporaryDirectory() as state:
        command = [program, "run", "--projects", corpus, "--state", state, "--listen", f"127.0.0.1:{port}",
                   "--otlp-endpoint", f"http://127.0.0.1:{server.server_port}", "--traces-history-since", "all"]
        variables = dict(os.environ, TAILSPAN_TRACES_HISTORY_RATE="1000000", TAILSPAN_LOG="warn")
        process = subprocess.Popen(command, env=variables)
        try:
            end, before, text = time.time() + DEADLINE_SECONDS, None, ""
            # Done when nothing waits and nothing was sent for a while.
            while time.time() < end:
                time.sleep(3)
                try:
                    text = get("/metrics").decode()
                except OSError:
                    continue
                exported = value(text, "tailspan_spans_exported_total")
                if value(text, "tailspan_outbox_spans") == 0 and exported > 0 and exported == before:
                    break
                before = exported
            openmetrics = get("/metrics", Accept=OPENMETRICS)
            packed = get("/metrics", **{"Accept": OPENMETRICS, "Accept-Encoding": "gzip"})
            scan = subprocess.run([program, "scan", corpus, "--format", "json"], capture_output=True, check=True)
        finally:
            process.terminate()
            process.wait()
    scanned = json.loads(scan.stdout)
    spans = value(text, "tailspan_spans_exported_total")
    print(json.dumps({
        "series": sum(1 for line in text.splitlines() if line and not line.startswith("#")),
        "scrape_bytes": len(openmetrics), "scrape_bytes_gzip": len(packed),
        "models": len(scanned["models"]), "tools": len(scanned["tools"]),
        "sessions": scanned["sessions"], "turns": scanned["turns"], "spans": int(spans),
        "spans_per_turn": round(spans / max(1, scanned["turns"]), 1), "requests": received["requests"],
        "bytes_per_span": round(received["encoded"] / max(1, spans)),
        "bytes_per_span_gzip": round(received["sent"] / max(1, spans)),
    }, indent=1))


if __name__ == "__main__":
    main()
