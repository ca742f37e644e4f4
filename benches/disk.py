#!/usr/bin/env python3
"""Disk torture: the sidecar on small disks that become full, fail, turn read-only or vanish while session files grow.

usage: disk.py [--runs 20] [--kinds enospc,eio,...] [--seed 1] [--jobs 1] [--max-leave 3072] [--keep FOLDER]

Each run has a disk of its own (tmpfs of 16 to 64 MiB, or ext4 on a loop device), generated sessions and one fault:

    enospc       a filler takes all but a random part of --max-leave KiB, and at last that too
    enospc-ext4  the same on ext4
    inode        no more files can be made
    kill         enospc, with kill -9 at random moments and starts on the full disk
    erofs, eio   calls below the state fail (tests/support/shim.c): all of them until the end of the fault; some at random
    ro           ext4 finds an error and goes read-only under the open files, as after a failing device
    delete, delete-db, rename, replace    the state folder, or the database in it, is gone or is another one

Session files grow before, during and after the fault. In some runs the process is killed or told to end in the middle,
and starts while the fault lasts. Then the fault is undone and everything must be counted once: every metric that
`tailspan scan --format prometheus` gives for the same files must be the same at /metrics, with the tokens, requests and
calls that were written in truth; `tailspan verify` must find no difference; and once more after a restart.

Columns of the table: runs in which the sidecar said 503, ended with a reason, or counted all the same; which the same
process got over; in which a start was refused with a reason; most seconds from SIGTERM to the end; how often one process
said its trouble (again after each recovery); what went wrong.

Ends with exit code 1 if a run hangs, counts wrong, is silent, says its trouble again and again, or does not end within
10 s of SIGTERM. Needs root, for mounts, and a C compiler. The binary is TAILSPAN_BIN, or target/release/tailspan.
"""
import argparse
import collections
import concurrent.futures
import decimal
import http.client
import http.server
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import uuid
from pathlib import Path

from common import BINARY, ROOT

KINDS = ["enospc", "enospc-ext4", "inode", "kill", "erofs", "eio", "ro", "delete", "delete-db", "rename", "replace"]
GONE = {"delete", "delete-db", "rename", "replace"}
# Without a word and without progress for so long, it hangs. The sidecar itself says so after 30 s.
HANG_S = 15
RECOVERY_S = 60
END_S = 10
REQUESTS = "tailspan_api_request_duration_seconds"
TROUBLE = re.compile(r"ERROR.*(cannot be written|does not answer|cannot be used any more)")
AGAIN = re.compile(r"can be written again|answers again")


class Wrong(Exception):
    """What must not happen."""


def run(*command):
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}
    return subprocess.run([str(part) for part in command], env=environment, capture_output=True, text=True)


def mounted(*command):
    done = run(*command)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}: {done.stderr.strip()} (mounts need root)")


class World:
    """Session files, and what they hold in truth."""

    def __init__(self, root, dice):
        self.root, self.dice = root, dice
        self.tokens = self.requests = self.calls = self.turns = self.bytes = 0
        self.sessions = []
        for _ in range(dice.randrange(2, 9)):
            session = self.uuid()
            path = root / f"-home-p{dice.randrange(3)}" / f"{session}.jsonl"
            path.parent.mkdir(parents=True, exist_ok=True)
            self.sessions.append({"id": session, "path": path, "clock": 4_000_000_000_000, "parent": None})

    def uuid(self):
        return str(uuid.UUID(int=self.dice.getrandbits(128), version=4))

    def row(self, session, kind, rest, agent=None):
        # In the future: later than any first start, so that counters count it.
        session["clock"] += self.dice.randrange(5_000)
        moment = session["clock"]
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(moment // 1000)) + ".%03dZ" % (moment % 1000)
        row = {"parentUuid": session["parent"], "type": kind, "uuid": self.uuid(), "timestamp": stamp, "cwd": "/home/p",
               "sessionId": session["id"], "version": "2.1.330", "entrypoint": "cli", "isSidechain": agent is not None}
        session["parent"] = row["uuid"]
        return json.dumps(row | ({"agentId": agent} if agent else {}) | rest, separators=(",", ":")) + "\n"

    def response(self, session, content, agent=None):
        tokens = [self.dice.randrange(1, 3_000) for _ in range(3)]
        self.tokens += sum(tokens)
        self.requests += 1
        usage = dict(zip(["input_tokens", "output_tokens", "cache_read_input_tokens"], tokens))
        model = self.dice.choice(["claude-sonnet-4-5-20250929", "claude-opus-4-5-20251101"])
        stop = "tool_use" if content and content[-1]["type"] == "tool_use" else "end_turn"
        message = {"id": "msg_" + self.uuid(), "role": "assistant", "model": model, "stop_reason": stop, "usage": usage}
        return self.row(session, "assistant", {"message": message | {"content": content}}, agent)

    def prompt_after(self, path):
        """One more row for the end of a file."""
        agent = path.stem.removeprefix("agent-") if path.stem.startswith("agent-") else None
        session = path.parent.parent.name if agent else path.stem
        found = next(known for known in self.sessions if known["id"] == session)
        return self.row(dict(found), "user", {"message": {"role": "user", "content": "p"}}, agent)

    def call(self, session, tool, given, agent=None):
        self.calls += 1
        use = {"type": "tool_use", "id": "toolu_" + self.uuid(), "name": tool, "input": given}
        body = {"type": "tool_result", "tool_use_id": use["id"], "content": "x" * self.dice.randrange(400)}
        if self.dice.random() < 0.1:
            body["is_error"] = True
        asked = self.response(session, [use], agent)
        return use["id"], asked + self.row(session, "user", {"message": {"role": "user", "content": [body]}}, agent)

    def turn(self):
        """One more turn of some session, as one write."""
        dice, session = self.dice, self.dice.choice(self.sessions)
        self.turns += 1
        text = self.row(session, "user", {"message": {"role": "user", "content": "p" * dice.randrange(1, 300)}})
        shape = dice.random()
        calls = 0 if shape < 0.3 else dice.randrange(1, 6) if shape < 0.9 else dice.randrange(50, 400)
        for _ in range(calls):
            text += self.call(session, dice.choice(["Bash", "Read", "Edit", "mcp__git__log"]), {"command": "make"})[1]
        if dice.random() < 0.05:
            text += self.agent(session)
        self.append(session["path"], text + self.response(session, [{"type": "text", "text": "done"}]))

    def agent(self, session):
        """A sub-agent with a file of its own."""
        agent, within = "a%016x" % self.dice.getrandbits(64), dict(session, parent=None)
        tool, asked = self.call(session, "Agent", {"description": "d", "prompt": "p", "subagent_type": "Explore"})
        folder = session["path"].with_suffix("") / "subagents"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"agent-{agent}.meta.json").write_text(json.dumps({"agentType": "Explore", "toolUseId": tool}))
        text = self.row(within, "user", {"message": {"role": "user", "content": "p"}}, agent)
        for _ in range(self.dice.randrange(1, 20)):
            text += self.call(within, "Grep", {"pattern": "p"}, agent)[1]
        self.append(folder / f"agent-{agent}.jsonl", text + self.response(within, [{"type": "text", "text": "ok"}], agent))
        return asked

    def append(self, path, text):
        with path.open("a") as file:
            file.write(text)
        self.bytes += len(text)

    def grow(self, size):
        end = self.bytes + size
        while self.bytes < end:
            self.turn()


class Sink(http.server.BaseHTTPRequestHandler):
    """Takes spans and forgets them."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class Sidecar:
    """A running `tailspan run`, and what it logs."""

    def __init__(self, projects, state, env=(), more=()):
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            self.port = listener.getsockname()[1]
        command = [BINARY, "run", "--projects", str(projects), "--state", str(state), *more]
        command += ["--listen", f"127.0.0.1:{self.port}"]
        # What comes after a turn has left is not part of it, and files grow faster here than they are read.
        settle = {"TAILSPAN_TRACES_SETTLE": "4s"}
        environment = {"PATH": os.environ["PATH"], "HOME": str(projects.parent), **settle, **dict(env)}
        self.process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.log = []
        self.pump = threading.Thread(target=self.read_log, daemon=True)
        self.pump.start()

    def read_log(self):
        for line in self.process.stderr:
            self.log.append(line.rstrip())

    def said(self, pattern):
        return [line for line in self.log if re.search(pattern, line)]

    def get(self, path):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read().decode()
            connection.close()
            return answer.status, body
        except (OSError, http.client.HTTPException) as error:
            return 0, repr(error)

    def metrics(self):
        status, body = self.get("/metrics")
        return parsed(body) if status == 200 else None

    def alive(self):
        return self.process.poll() is None

    def started(self):
        """Waits until it serves, or has ended with a reason, which is returned."""
        until(30, lambda: not self.alive() or self.get("/-/healthy")[0], "a start neither serves nor ends")
        if self.alive():
            return None
        self.pump.join()
        reason = self.said("^tailspan: ")
        if not reason:
            raise Wrong(f"ended without a reason: {self.process.returncode} {self.log[-3:]}")
        return reason[-1]

    def stop(self):
        """Seconds from SIGTERM to the end."""
        begun = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(END_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Wrong(f"still there {END_S} s after SIGTERM") from None
        self.pump.join()
        return time.monotonic() - begun

    def kill(self):
        self.process.kill()
        self.process.wait()


def parsed(text):
    return dict(line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#"))


def scanned(projects):
    done = run(BINARY, "scan", "--projects", projects, "--format", "prometheus")
    if done.returncode != 0:
        raise Wrong(f"scan: {done.stderr}")
    return parsed(done.stdout)


def comparable(metrics, families):
    """Values of some families. A sub-agent is counted under the type that is known when its first rows are read
    (docs/metrics.md), so what is counted by type is added up."""
    values = collections.defaultdict(decimal.Decimal)
    for series, value in metrics.items():
        if family(series) in families:
            values[family(series) if "agent_type=" in series else series] += decimal.Decimal(value)
    return values


def family(series):
    return series.partition("{")[0]


def total(metrics, name):
    return sum(float(value) for series, value in (metrics or {}).items() if family(series) == name)


def until(limit, ready, what):
    end = time.monotonic() + limit
    while time.monotonic() < end:
        value = ready()
        if value:
            return value
        time.sleep(0.03)
    raise Wrong(what)


class Disk:
    """A file system of its own."""

    def __init__(self, folder, kind, dice):
        self.image, self.path, self.is_ext4 = folder / "image", folder / "disk", kind in ("ro", "enospc-ext4")
        self.filler = self.path / "filler"
        self.path.mkdir()
        # On ext4 the filler takes what is too much.
        size = 96 if self.is_ext4 else dice.randrange(16, 65)
        # What a fault gets to eat before it is taken as harmless.
        self.feed = min(24, size // 2) << 20
        if self.is_ext4:
            with self.image.open("wb") as file:
                file.truncate(size << 20)
            mounted("mkfs.ext4", "-q", "-F", "-m", "0", self.image)
        self.options = f"size={size}m" + (",nr_inodes=200" if kind == "inode" else "")
        if self.is_ext4:
            self.options = "loop,errors=remount-ro"
        self.mount()

    def mount(self):
        source = [self.image] if self.is_ext4 else ["-t", "tmpfs", "tmpfs"]
        mounted("mount", "-o", self.options, *source, self.path)

    def give_room(self):
        """Room for whatever was written meanwhile."""
        if not self.is_ext4:
            mounted("mount", "-o", "remount,size=256m", self.path)

    def unmount(self):
        run("umount", "-l", self.path)

    def free(self):
        stat = os.statvfs(self.path)
        return stat.f_bavail * stat.f_frsize

    def fill(self, leave):
        """Takes all but `leave` bytes."""
        file = os.open(self.filler, os.O_CREAT | os.O_RDWR)
        size, missing = os.fstat(file).st_size, self.free() - leave
        while missing >= 4096:
            step = min(missing, 1 << 20) // 4096 * 4096
            try:
                os.posix_fallocate(file, size, step)
                size, missing = size + step, missing - step
            except OSError:
                missing = step // 2
        os.close(file)

    def take_inodes(self, leave):
        made = []
        try:
            while True:
                made.append(self.path / f"inode{len(made)}")
                made[-1].touch(exist_ok=False)
        except OSError:
            made.pop()
        for path in made[:leave]:
            path.unlink()

    def fail(self):
        """Makes ext4 find an error."""
        device = Path(run("findmnt", "-no", "SOURCE", self.path).stdout.strip()).name
        Path(f"/sys/fs/ext4/{device}/trigger_fs_error").write_text("1")


class Run:
    """One fault, from a seed."""

    def __init__(self, kind, seed, shim, sink, options, folder):
        self.kind, self.seed, self.folder, self.options = kind, seed, folder, options
        self.dice = random.Random(f"{kind}-{seed}")
        self.leave = self.dice.randrange(options.max_leave // 4 + 1) * 4096
        self.disk = Disk(folder, kind, self.dice)
        self.state, self.projects = self.disk.path / "state", folder / "projects"
        self.moved, self.flag = self.disk.path / "moved", folder / "fault"
        self.world = World(self.projects, self.dice)
        self.sidecar, self.all = None, []
        # What has been sent is taken out of the state again: in half of the runs.
        self.endpoint = ["--otlp-endpoint", sink] if self.dice.random() < 0.5 else []
        self.facts = {"kind": kind, "seed": seed, "leave": self.leave, "bites": "", "ends": [], "refused": "", "wrong": []}
        self.shim = {"LD_PRELOAD": str(shim), "SHIM_PREFIX": str(self.state)}
        if kind == "erofs":
            self.shim |= {"SHIM_ERRNO": "30", "SHIM_FAIL_FLAG": str(self.flag)}
        if kind == "eio":
            at, calls = self.dice.randrange(1, 300), self.dice.choice([1, 2, 3, 5, 10, 40])
            self.shim |= {"SHIM_ERRNO": "5", "SHIM_FAIL_FROM": str(self.flag)}
            self.shim |= {"SHIM_FAIL_AT": str(at), "SHIM_FAIL_CALLS": str(calls)}
            self.facts |= {"at": at, "calls": calls}

    def start(self):
        shim = self.shim if self.kind in ("erofs", "eio") else {}
        self.sidecar = Sidecar(self.projects, self.state, shim, self.endpoint)
        self.all.append(self.sidecar)
        return self.sidecar.started()

    def stop(self):
        self.facts["ends"].append(round(self.sidecar.stop(), 2))

    def begin_fault(self):
        match self.kind:
            case "enospc" | "enospc-ext4" | "kill":
                self.disk.fill(self.leave)
            case "inode":
                self.disk.take_inodes(self.leave // 4096 % 4)
            case "erofs" | "eio":
                self.flag.touch()
            case "ro":
                self.disk.fail()
            case "delete" | "delete-db":
                gone = self.state / "db" if self.kind == "delete-db" else self.state
                # A file may be made meanwhile.
                until(5, lambda: shutil.rmtree(gone, ignore_errors=True) or not gone.exists(), "the state cannot be removed")
            case "rename":
                self.state.rename(self.moved)
            case "replace":
                self.state.rename(self.moved)
                shutil.copytree(self.moved, self.state)

    def end_fault(self):
        self.disk.give_room()
        match self.kind:
            case "ro":
                self.disk.unmount()
                self.disk.mount()
            case "rename" | "replace":
                # A second instance leaves an empty folder when it is refused.
                shutil.rmtree(self.state, ignore_errors=True)
                self.moved.rename(self.state)
            case _:
                for path in [self.flag, self.disk.filler, *self.disk.path.glob("inode*")]:
                    path.unlink(missing_ok=True)

    def until_counted(self, limit=RECOVERY_S):
        """Waits until all that was written in truth is counted."""
        world, last = self.world, {}

        def counted():
            if not self.sidecar.alive():
                raise Wrong(f"ended: {self.sidecar.log[-3:]}")
            found = self.sidecar.metrics()
            if found is None:
                return False
            last.update(tokens=total(found, "tailspan_tokens_total"))
            if last["tokens"] > world.tokens:
                raise Wrong(f"WRONG: {last['tokens']:.0f} tokens of {world.tokens}")
            return last["tokens"] == world.tokens

        try:
            until(limit, counted, "")
        except Wrong as wrong:
            raise wrong if str(wrong) else Wrong(f"not counted in {limit} s: {last} of {world.tokens} tokens") from None

    def compare(self):
        wanted = scanned(self.projects)
        # A request is over with the next row, or, for a sidecar, when its turn is.
        closed = self.folder / "closed"
        shutil.copytree(self.projects, closed)
        for path in closed.rglob("*.jsonl"):
            with path.open("a") as file:
                file.write(self.world.prompt_after(path))
        wanted |= {series: value for series, value in scanned(closed).items() if family(series).startswith(REQUESTS)}
        shutil.rmtree(closed)
        world = self.world
        truth = {"tokens": world.tokens, "api_requests": world.requests, "tool_calls": world.calls, "turns": world.turns}
        for name, number in truth.items():
            if total(wanted, f"tailspan_{name}_total") != number:
                raise Wrong(f"WRONG: scan finds {total(wanted, f'tailspan_{name}_total')} {name} of {number}")
        families = {family(series) for series in wanted}
        wanted, wrong = comparable(wanted, families), {}

        def same():
            found = comparable(self.sidecar.metrics() or {}, families)
            wrong.clear()
            # A label value that was never seen may be missing.
            differs = [series for series in [*found, *wanted] if found[series] != wanted[series]]
            wrong.update({series: (found[series], wanted[series]) for series in differs})
            return not wrong

        # The last turns are counted when they have been quiet for a while.
        try:
            until(15, same, "")
        except Wrong:
            some = ", ".join(f"{series} {found} of {right}" for series, (found, right) in sorted(wrong.items())[:4])
            raise Wrong(f"WRONG: {len(wrong)} series: {some}") from None
        self.facts["series"] = len(wanted)

    def verify(self):
        done = run(BINARY, "verify", "--projects", self.projects, "--state", self.state)
        if done.returncode != 0:
            raise Wrong(f"WRONG: verify: {done.stdout[-400:]} {done.stderr[-200:]}")

    def feed_until_it_bites(self):
        """Grows session files until the sidecar says that it is in trouble, has ended, or has counted all the same."""
        sidecar, world, leave = self.sidecar, self.world, self.leave
        begun, seen, moved, most = world.bytes, None, time.monotonic(), self.disk.feed
        burst = self.dice.choice([20_000, 200_000, 1_000_000])
        while True:
            if world.bytes - begun < most:
                world.grow(burst)
                if world.bytes - begun > most // 4 and self.kind in ("enospc", "enospc-ext4", "kill"):
                    leave = max(0, leave - (256 << 10))
                    self.disk.fill(leave)
                    burst = 1_000_000
            if not sidecar.alive():
                sidecar.pump.join()
                if not sidecar.said("^tailspan: "):
                    raise Wrong(f"ended without a reason: {sidecar.process.returncode} {sidecar.log[-3:]}")
                return "ended"
            if sidecar.said(TROUBLE):
                return "503"
            found = sidecar.metrics()
            now = total(found, "tailspan_tokens_total")
            if found is not None and now != seen:
                seen, moved = now, time.monotonic()
            if now == world.tokens and world.bytes - begun >= most:
                return "harmless"
            if time.monotonic() - moved > HANG_S:
                raise Wrong(f"HANG: healthy {sidecar.get('/-/healthy')[0]}, {now:.0f} of {world.tokens} tokens")

    def check_trouble(self):
        """What a sidecar in trouble must show."""
        sidecar, lasts = self.sidecar, self.kind not in ("eio", "inode")
        if lasts:
            until(5, lambda: sidecar.get("/-/healthy")[0] == 503, "silent: /-/healthy is not 503")
        status, reason = sidecar.get("/-/healthy")
        if lasts:
            if len(reason.strip()) < 20:
                raise Wrong(f"silent: /-/healthy gives no reason: {reason.strip()}")
            if total(sidecar.metrics(), "tailspan_state_writable") != 0:
                raise Wrong("silent: tailspan_state_writable is not 0")
            lag = lambda: total(sidecar.metrics(), "tailspan_read_lag_bytes")
            before = until(10, lag, "silent: no lag")
            if self.dice.random() < 0.3:
                self.world.grow(100_000)
                until(12, lambda: lag() > before, "silent: the lag does not grow")
                self.facts["lag"] = "grew"
        self.facts["reason"] = re.sub(r".*cannot be written: ", "", reason.strip())[:160] if status == 503 else ""

    def refuse_second(self):
        second = Sidecar(self.projects, self.state)
        self.all.append(second)
        try:
            reason = second.started()
        finally:
            second.kill()
        if reason is None or "in use by another tailspan" not in reason:
            raise Wrong(f"a second one: {reason}")

    def start_in_trouble(self):
        """A start while the fault lasts: it runs, or is refused with a reason."""
        refused = self.start()
        self.facts["refused"] = (refused or self.facts["refused"])[:200]
        return not refused

    def kills(self):
        """Kills it at random moments and starts it on the same disk."""
        for _ in range(self.dice.randrange(1, 4)):
            moment = time.monotonic() + self.dice.random()
            while time.monotonic() < moment and self.sidecar.alive():
                self.world.grow(self.dice.choice([10_000, 100_000, 400_000]))
                time.sleep(0.02)
            self.sidecar.kill()
            if not self.start_in_trouble():
                return

    def in_the_middle(self):
        """Ends or kills the process while the fault lasts, and may start it again; or lets it be."""
        # What is gone for good, or under open files, never comes back to this process.
        must_end = self.kind in ("ro", "delete", "delete-db")
        what = self.dice.choice(["stop", "kill"] if must_end else ["stop", "kill", "", ""])
        if what == "stop":
            self.stop()
        elif what == "kill":
            self.sidecar.kill()
        if not what:
            return
        if self.kind in ("delete", "delete-db", "rename") and (self.state / "db" / "db").exists():
            raise Wrong("a database was begun in place of the one that is gone")
        if self.kind not in GONE and self.dice.random() < 0.7:
            self.start_in_trouble()

    def go(self):
        self.world.grow(self.dice.choice([20_000, 400_000, 2_000_000]))
        refused = self.start()
        if refused:
            raise Wrong(f"the first start was refused: {refused}")
        self.until_counted()
        self.begin_fault()
        try:
            self.trouble()
        except Wrong as wrong:
            # The counters are worth a look all the same.
            self.facts["wrong"].append(str(wrong))
            try:
                if self.sidecar.alive():
                    self.stop()
            except Wrong as late:
                self.facts["wrong"].append(str(late))
        self.end_fault()
        if self.sidecar.alive():
            self.facts["recovered"] = bool(self.sidecar.said(TROUBLE))
        else:
            refused = self.start()
            if refused:
                raise Wrong(f"a start after the fault was refused: {refused}")
        self.finish()

    def trouble(self):
        if self.kind == "kill":
            self.kills()
            self.facts["bites"] = "503" if self.facts["refused"] or any(one.said(TROUBLE) for one in self.all) else "harmless"
            return
        self.facts["bites"] = bites = self.feed_until_it_bites()
        if bites == "503":
            self.check_trouble()
        elif bites == "harmless" and self.kind in GONE | {"ro", "erofs"}:
            raise Wrong("silent: it counts as if nothing had happened")
        if self.kind in GONE and self.sidecar.alive() and self.dice.random() < 0.5:
            self.refuse_second()
        if self.sidecar.alive():
            self.in_the_middle()

    def finish(self):
        self.world.grow(30_000)
        self.until_counted()
        self.compare()
        until(20, lambda: total(self.sidecar.metrics(), "tailspan_outbox_spans") == 0, "spans do not leave")
        self.stop()
        self.verify()
        self.start()
        self.until_counted(15)
        self.compare()
        self.stop()
        self.verify()

    def run(self):
        """All of it; what is wrong is in the facts afterwards."""
        begun = time.monotonic()
        try:
            self.go()
        except Wrong as wrong:
            self.facts["wrong"].append(str(wrong))
        except Exception:
            self.facts["wrong"].append(f"disk.py itself: {traceback.format_exc()}")
        self.check_logs()
        for sidecar in self.all:
            sidecar.kill()
        self.facts["seconds"] = round(time.monotonic() - begun, 1)
        if self.facts["wrong"] and self.options.keep:
            self.keep()
        self.disk.unmount()
        return self.facts

    def check_logs(self):
        said = 0
        for sidecar in self.all:
            troubles, again = len(sidecar.said(TROUBLE)), len(sidecar.said(AGAIN))
            said = max(said, troubles)
            if troubles > again + 1:
                self.facts["wrong"].append(f"said again and again: {troubles} times, {again} recoveries")
            if sidecar.said("panicked"):
                self.facts["wrong"].append(f"panic: {sidecar.said('panicked')[0]}")
        self.facts["said"] = said

    def keep(self):
        kept = Path(self.options.keep, f"{self.kind}-{self.seed}")
        kept.mkdir(parents=True, exist_ok=True)
        for number, sidecar in enumerate(self.all):
            (kept / f"log{number}").write_text("\n".join(sidecar.log))
        for folder in (self.state, self.moved, self.projects):
            if folder.exists():
                run("cp", "-a", folder, kept)


def built_shim(folder):
    shim = folder / "shim.so"
    done = run("cc", "-shared", "-fPIC", "-O1", "-o", shim, ROOT / "tests/support/shim.c", "-ldl")
    if done.returncode != 0:
        sys.exit(f"the shim cannot be built: {done.stderr}")
    return shim


def table(all_facts):
    print(f"{'kind':12} {'runs':>5} {'503':>5} {'ended':>6} {'harmless':>9} {'recovered':>10} {'refused':>8} {'SIGTERM':>8} "
          f"{'said':>5} {'wrong':>6}")
    kinds = collections.defaultdict(list)
    for facts in all_facts:
        kinds[facts["kind"]].append(facts)
    for kind, runs in [*kinds.items(), ("all", all_facts)]:
        bites = collections.Counter(facts["bites"] for facts in runs)
        count = lambda what: sum(bool(facts.get(what)) for facts in runs)
        recovered, refused, wrong = count("recovered"), count("refused"), count("wrong")
        end, said = max((end for facts in runs for end in facts["ends"]), default=0), max(facts["said"] for facts in runs)
        print(f"{kind:12} {len(runs):5} {bites['503']:5} {bites['ended']:6} {bites['harmless']:9} {recovered:10} {refused:8} "
              f"{end:6.2f} s {said:5} {wrong:6}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20, help="of each kind")
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--seed", type=int, default=1, help="of the first run of each kind")
    parser.add_argument("--jobs", type=int, default=1, choices=[1, 2])
    parser.add_argument("--max-leave", type=int, default=3072, help="KiB that are left on a full disk at most")
    parser.add_argument("--keep", help="folder for logs, state and session files of what went wrong")
    options = parser.parse_args()
    kinds = options.kinds.split(",")
    if unknown := set(kinds) - set(KINDS):
        parser.error(f"no such kind: {unknown}")
    if os.geteuid() != 0:
        sys.exit("mounts need root")
    all_facts = []
    pool = concurrent.futures.ThreadPoolExecutor(options.jobs)
    with tempfile.TemporaryDirectory(prefix="tailspan-disk-") as work, pool:
        shim = built_shim(Path(work))
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Sink)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        sink = f"http://127.0.0.1:{server.server_address[1]}"

        def one(kind, seed):
            folder = Path(work, f"{kind}-{seed}")
            folder.mkdir()
            facts = Run(kind, seed, shim, sink, options, folder).run()
            shutil.rmtree(folder, ignore_errors=True)
            print(json.dumps(facts), flush=True)
            return facts

        jobs = [pool.submit(one, kind, options.seed + number) for kind in kinds for number in range(options.runs)]
        all_facts = [job.result() for job in jobs]
    table(all_facts)
    sys.exit(1 if any(facts["wrong"] for facts in all_facts) else 0)


if __name__ == "__main__":
    main()
