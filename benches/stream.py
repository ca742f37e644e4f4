#!/usr/bin/env python3
"""What `tailspan stream` costs in a pipeline: throughput beside `cat`, memory, and the longest wait of a client.

    python3 benches/stream.py [--mb 1000] [--rounds 5] [PROGRAM]

The pipeline is `cat FILE | PROGRAM stream | wc -c`, with the sidecar absent, stopped (SIGSTOP), slow (each answer takes
0.3 s) and there; every run is compared byte for byte once, and timed in turn with `cat` in the same place.
"""

import argparse
import json
import os
import signal
import socket
import statistics
import subprocess
import tempfile
import threading
import time
import uuid
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SLOW_SECONDS = 0.3


def corpus(path, mb):
    """Lines as the client prints them: most of some hundred bytes, some of a hundred kilobytes."""
    session = str(uuid.UUID(int=1))
    with open(path, "wb") as file:
        number = 0
        while file.tell() < mb * 1_000_000:
            size = 100_000 if number % 200 == 0 else 200 + number * 37 % 1500
            row = {"type": "assistant", "uuid": str(uuid.UUID(int=number + 2)), "session_id": session, "text": "x" * size}
            file.write(json.dumps(row).encode() + b"\n")
            number += 1


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Slow:
    """Takes everything, and answers each request late."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.answer, args=(connection,), daemon=True).start()

    def answer(self, connection):
        buffer = b""
        with connection:
            while True:
                while b"\r\n\r\n" not in buffer:
                    piece = connection.recv(1 << 16)
                    if not piece:
                        return
                    buffer += piece
                head, _, buffer = buffer.partition(b"\r\n\r\n")
                length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
                left = length - len(buffer)
                buffer = b"" if left >= 0 else buffer[length:]
                while left > 0:
                    piece = connection.recv(min(left, 1 << 20))
                    if not piece:
                        return
                    left -= len(piece)
                time.sleep(SLOW_SECONDS)
                body = b'{"accepted":0,"rejected":0,"session":null}'
                answer = b"HTTP/1.1 202 Accepted\r\nTailspan-Folder: another\r\nContent-Length: %d\r\n\r\n%s"
                try:
                    connection.sendall(answer % (len(body), body))
                except OSError:
                    return

    def close(self):
        self.listener.close()


class Sidecar:
    """The real one."""

    def __init__(self, program, folder, stopped):
        self.port = free_port()
        (Path(folder) / "projects").mkdir(exist_ok=True)
        command = [program, "run", "--projects", f"{folder}/projects", "--state", f"{folder}/sidecar", "--listen", f"127.0.0.1:{self.port}"]
        self.process = subprocess.Popen(command, env={}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                break
            except OSError:
                time.sleep(0.05)
        if stopped:
            self.process.send_signal(signal.SIGSTOP)

    def close(self):
        self.process.kill()
        self.process.wait()


class Absent:
    def __init__(self):
        self.port = free_port()

    def close(self):
        pass


def pipeline(middle, source, last):
    """Seconds until all of `cat SOURCE | MIDDLE | LAST` has ended, peak memory of the middle in MB, and what the last said."""
    begun = time.perf_counter()
    first = subprocess.Popen(["cat", source], stdout=subprocess.PIPE)
    process = subprocess.Popen(middle, stdin=first.stdout, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={})
    end = subprocess.Popen(last, stdin=process.stdout, stdout=subprocess.PIPE)
    first.stdout.close()
    process.stdout.close()
    said = end.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begun
    process.returncode = status
    code = end.wait()
    first.wait()
    assert status == 0 and code == 0, (status, code, said)
    return seconds, usage.ru_maxrss / 1024, said


def longest_wait(middle):
    """The longest time that a client waits in one write, in milliseconds: 2 MB a second for six seconds, and nobody reads
    standard output for the first five."""
    process = subprocess.Popen(middle, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={})
    line = json.dumps({"type": "assistant", "text": "x" * 9_950}).encode() + b"\n"
    longest, begun, written = 0.0, time.perf_counter(), 0

    def read():
        time.sleep(5)
        while process.stdout.read(1 << 20):
            pass

    reader = threading.Thread(target=read)
    reader.start()
    while written < 1200:
        time.sleep(max(0, begun + written * 0.005 - time.perf_counter()))
        before = time.perf_counter()
        os.write(process.stdin.fileno(), line)
        longest = max(longest, time.perf_counter() - before)
        written += 1
    process.stdin.close()
    reader.join()
    process.wait()
    return longest * 1000


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program", nargs="?", default=str(ROOT / "target/release/tailspan"))
    parser.add_argument("--mb", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        source = f"{folder}/source"
        corpus(source, args.mb)
        size = os.path.getsize(source)
        config = f"{folder}/tailspan.toml"
        Path(config).write_text('[stream]\nspool_bytes = "16GiB"\nkeep_bytes = "16GiB"\n')
        print(f"{size / 1e6:.0f} MB, median of {args.rounds}\n")
        print("| sidecar | MB/s | of `cat` | peak memory | longest wait of a client |")
        print("|---|---|---|---|---|")
        states = {
            "absent": Absent,
            "stopped": lambda: Sidecar(args.program, folder, True),
            "slow": Slow,
            "there": lambda: Sidecar(args.program, folder, False),
        }
        for name, make in states.items():
            sidecar = make()
            runs = [0]

            def middle():
                runs[0] += 1
                state = f"{folder}/state-{name}-{runs[0]}"
                return [args.program, "--config", config, "stream", "--state", state, "--listen", f"127.0.0.1:{sidecar.port}"]

            def clear():
                subprocess.run(f"rm -rf {folder}/state-*/streams {folder}/sidecar/streams/*.jsonl", shell=True, check=True)

            try:
                pipeline(middle(), source, ["cmp", "-", source])
                clear()
                ours, theirs, memory = [], [], []
                for _ in range(args.rounds):
                    seconds, _, said = pipeline(["cat"], source, ["wc", "-c"])
                    theirs.append(seconds)
                    seconds, peak, said = pipeline(middle(), source, ["wc", "-c"])
                    assert int(said) == size
                    ours.append(seconds)
                    memory.append(peak)
                    clear()
                wait = longest_wait(middle())
                clear()
            finally:
                sidecar.close()
            own, cat = statistics.median(ours), statistics.median(theirs)
            print(f"| {name} | {size / own / 1e6:.0f} | {cat / own:.2f} | {max(memory):.0f} MB | {wait:.1f} ms |", flush=True)


if __name__ == "__main__":
    main()
