#!/usr/bin/env python3
"""How long a line takes from a session file to a client of the event stream, and what clients cost.

    python3 benches/events.py target/release/tailspan [--clients 1 64 1000] [--lines 400] [--every 0.05]

Lines are written one at a time, as the client writes them; each is an answer or the result of a call. The time is from the
moment before the line is written to the moment at which a client has read the event. With more clients than one, one is
stuck: it never reads. Memory is what the process has more than before the clients came, in bytes for each of them.
"""

import argparse
import datetime
import json
import os
import resource
import selectors
import socket
import subprocess
import tempfile
import threading
import time
import uuid
from pathlib import Path


def now():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


class Session:
    """A session file that grows, and the ids of what is written."""

    def __init__(self, folder, text_bytes):
        self.id, self.parent, self.calls = str(uuid.uuid4()), None, 0
        self.text = "x" * text_bytes
        folder.mkdir(parents=True, exist_ok=True)
        self.file = open(folder / f"{self.id}.jsonl", "a", buffering=1)

    def base(self, kind):
        row = {"parentUuid": self.parent, "isSidechain": False, "type": kind, "uuid": str(uuid.uuid4()),
               "timestamp": now(), "userType": "external", "entrypoint": "cli", "cwd": "/home/dev/shop",
               "sessionId": self.id, "version": "2.1.332", "gitBranch": "main"}
        self.parent = row["uuid"]
        return row

    def write(self, row):
        line = json.dumps(row) + "\n"
        at = time.perf_counter()
        self.file.write(line)
        return at

    def prompt(self):
        self.write({**self.base("user"), "promptId": str(uuid.uuid4()),
                    "message": {"role": "user", "content": "Look around"}})

    def next(self):
        """Writes a call or its result. Returns the key by which its event is known, and when it was written."""
        number, is_result = divmod(self.calls, 2)
        self.calls += 1
        call = f"toolu_{self.id[:8]}_{number}"
        if is_result:
            content = [{"type": "tool_result", "tool_use_id": call, "content": self.text}]
            return ("tool_result", call), self.write({**self.base("user"), "message": {"role": "user", "content": content},
                                                      "toolUseResult": {"stdout": self.text}})
        message = {"id": f"msg_{self.id[:8]}_{number}", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5",
                   "content": [{"type": "tool_use", "id": call, "name": "Bash", "input": {"command": "ls"}}],
                   "stop_reason": "tool_use", "usage": {"input_tokens": 3, "output_tokens": 20}}
        return ("tool_call", call), self.write({**self.base("assistant"), "requestId": f"req_{number}", "message": message})


class Streamed(Session):
    """The same on a stream, which `tailspan stream` passes on."""

    def __init__(self, program, folder, port):
        super().__init__(folder / "unused", 200)
        self.process = subprocess.Popen(
            [program, "stream", "--listen", f"127.0.0.1:{port}", "--state", folder / "other"], stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL, bufsize=0)

    def write(self, row):
        kept = {name: row[name] for name in ("type", "uuid", "timestamp", "message")}
        line = json.dumps({**kept, "session_id": self.id, "parent_tool_use_id": None}) + "\n"
        at = time.perf_counter()
        self.process.stdin.write(line.encode())
        return at

    def prompt(self):
        self.process.stdin.write(json.dumps({"type": "system", "subtype": "init", "session_id": self.id,
                                             "cwd": "/home/dev/shop"}).encode() + b"\n")

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Clients:
    """Clients of the stream, read by one thread."""

    def __init__(self, port, count, stuck):
        self.seen, self.selector, self.sockets = {}, selectors.DefaultSelector(), []
        for number in range(count):
            one = socket.create_connection(("127.0.0.1", port))
            if stuck and number == 0:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            one.sendall(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            self.sockets.append(one)
            if not (stuck and number == 0):
                one.setblocking(False)
                self.selector.register(one, selectors.EVENT_READ, bytearray())
        self.is_over = False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.is_over:
            for key, _ in self.selector.select(0.1):
                try:
                    data = key.fileobj.recv(1 << 16)
                except BlockingIOError:
                    continue
                at = time.perf_counter()
                if not data:
                    self.selector.unregister(key.fileobj)
                    continue
                key.data.extend(data)
                while (end := key.data.find(b"\n\n")) >= 0:
                    event = bytes(key.data[:end])
                    del key.data[:end + 2]
                    start = event.find(b"data: ")
                    if start >= 0:
                        told = json.loads(event[start + 6:].split(b"\n")[0])
                        self.seen.setdefault((told["kind"], told.get("tool_call_id")), []).append(at)

    def close(self):
        self.is_over = True
        self.thread.join()
        for one in self.sockets:
            one.close()


def memory(pid):
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024


def quantile(values, part):
    values = sorted(values)
    return values[min(len(values) - 1, int(part * len(values)))] * 1000


def measure(program, count, lines, every, text_bytes, from_stream):
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        (folder / "projects/shop").mkdir(parents=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        side = subprocess.Popen([program, "run", "--projects", folder / "projects", "--state", folder / "state", "--listen",
                                 f"127.0.0.1:{port}"], stderr=subprocess.DEVNULL)
        try:
            while True:
                try:
                    with socket.create_connection(("127.0.0.1", port)) as one:
                        one.sendall(b"GET /-/ready HTTP/1.0\r\n\r\n")
                        if b" 200 " in one.recv(64):
                            break
                except ConnectionRefusedError:
                    pass
                time.sleep(0.05)
            session = Streamed(program, folder, port) if from_stream else Session(folder / "projects/shop", text_bytes)
            session.prompt()
            # What one client makes the process keep is not counted for each.
            one = Clients(port, 1, stuck=False)
            for _ in range(60):
                session.next()
                time.sleep(0.02)
            time.sleep(1)
            one.close()
            time.sleep(1)
            before = memory(side.pid)
            clients = Clients(port, count, stuck=count > 1)
            time.sleep(3)
            there = memory(side.pid)
            written = {}
            for _ in range(lines):
                key, at = session.next()
                written[key] = at
                time.sleep(every)
            time.sleep(2)
            after = memory(side.pid)
            clients.close()
            if from_stream:
                session.close()
            readers = max(1, count - 1)
            missing = sum(readers - len(clients.seen.get(key, [])) for key in written)
            took = [at - begun for key, begun in written.items() for at in clients.seen.get(key, [])]
            first = [min(clients.seen[key]) - begun for key, begun in written.items() if key in clients.seen]
            print(f"{count:5} clients  first client p50 {quantile(first, .5):5.1f} ms  p99 {quantile(first, .99):5.1f} ms   "
                  f"all p50 {quantile(took, .5):6.1f} ms  p99 {quantile(took, .99):6.1f} ms   "
                  f"missing {missing}   bytes a client: {(there - before) // count} there, {(after - before) // count} after all lines",
                  flush=True)
        finally:
            side.terminate()
            side.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 64, 1000])
    parser.add_argument("--lines", type=int, default=400)
    parser.add_argument("--every", type=float, default=0.05)
    parser.add_argument("--stream", action="store_true", help="lines come through `tailspan stream` instead")
    parser.add_argument("--text", type=int, default=200, help="bytes of a result")
    args = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 8192), most))
    for count in args.clients:
        measure(args.program, count, args.lines, args.every, args.text, args.stream)


if __name__ == "__main__":
    main()
