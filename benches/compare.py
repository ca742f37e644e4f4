#!/usr/bin/env python3
"""Compares two programs: for the same session files, the new one must say what the old one says.

usage: compare.py OLD NEW [--fixtures fixtures] [--recordings DIR]... [--live]
                  [--only scan,single,...]
                  [--corpus-mb 500 --corpus-files 1000 --seed 7] [--shown 3] [--work DIR]

scan     every `projects` folder below the fixtures and the recordings: stdout and exit code of `scan` in each format, and
         of `backfill`
single   `run` on each of these folders alone, with a fresh state whose epoch is before all rows and with a local OTLP
         sink: /metrics in both formats, every span, sessions, details, replays, the Jaeger API
merged   the same for all of these folders in one root, each below slugs of its own and with ids of its own
collided the same with the ids as they are: many files say different things of the same session
threads  the recordings in one root, read by as many threads as there are processors. In the parts before it is one:
         where several files say different things of one thing, some answers depend on which was read first
corpus   a generated corpus: scan formats, /metrics, the list, 50 details, with one thread and with all (--corpus-mb 0
         leaves it out)
live     only with --live, or named by --only: both programs tail a folder that grows by chunks cut at random, with fresh
         times, through a restart, a kill and a sink that refuses for a while

What cannot be equal is left out; the tables LEFT_OUT... name each with its reason. Prints one line per kind
of answer and the first differences in full. Ends with 1 if there are any. The same program twice must be equal: whatever
that finds is an answer that the program does not give twice.
"""
import argparse
import collections
import concurrent.futures
import difflib
import gzip
import http.client
import http.server
import itertools
import json
import os
import random
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from datetime import datetime, timedelta, timezone
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# Before all rows of all recordings, so that every counter counts everything.
EPOCH = "2020-01-01T00:00:00.000Z"
INSTANCE = "00000000-0000-4000-8000-00000000c0de"

# Lines of /metrics that two runs of one program need not have in common.
LEFT_OUT = [
    (r"process_", "processor time, memory and descriptors of a process"),
    (r"tailspan_build_info\b", "says which program it is"),
    (r"tailspan_start_time_seconds\b", "when the process started"),
    (r"tailspan_store_bytes\b", "size of the database's files: a matter of its layout, and of when they were written"),
    (r"tailspan_http_requests(_total|_created)?\b", "counts how often this script had to ask until everything was read"),
    (r"tailspan_outbox_oldest_timestamp_seconds\b", "when a span was put into the outbox: a time of this run"),
]
# The same for the live part, besides those above.
LEFT_OUT_LIVE = [
    (r"tailspan_sessions_(active|waiting)\b", "rows of the last minutes, and only those read since the last start"),
    (r"tailspan_last_event_timestamp_seconds\b", "of the rows read since the last start"),
    (r"tailspan_spans_exported(_total|_created)?\b", "since the last start: a kill decides what was sent before it"),
    (r"tailspan_export_failures(_total|_created)?\b", "how often the refusing sink was asked"),
]
# The same where several threads read, besides those of all parts.
LEFT_OUT_THREADS = [
    (r"tailspan_subagents_started(_total|_created)?\b", "by a type that is known only if the file that says it was read in time"),
    (r"tailspan_subagent_cost_usd(_total|_created)?\b", "by the same type"),
]
CREATED = re.compile(r"^(\w+_created(?:\{.*\})? )([0-9.e+]+)$")
# Cut where many files have the same times (merged, collided): of exemplars with the same time any may stay. Where several
# threads read: there is none while a sub-agent's call is not known. And where there were restarts (live): they are in memory.
EXEMPLAR = re.compile(r" # \{trace_id=.*$")

TEXT = "text/plain; version=0.0.4"
OPENMETRICS = "application/openmetrics-text; version=1.0.0"
# Turns leave soon, so that the script need not wait; history at any rate.
QUICK = {"TAILSPAN_TRACES_HISTORY_RATE": "1000000", "TAILSPAN_TRACES_SETTLE": "100ms"}
SCANS = [["json", "--sessions"], ["table"], ["table", "--sessions"], ["prometheus"], ["trace"]]
# Both programs must end at the same time, and the default is the moment of the call.
TODAY = datetime.now(timezone.utc).date().isoformat()
COMMANDS = [["scan", "--format", *form] for form in SCANS] + [["backfill", "--until", TODAY]]
# With more projects than labels, those that are met first have one.
CPUS = itertools.cycle(sorted(os.sched_getaffinity(0)))
ALL_PROJECTS = {"TAILSPAN_METRICS_PROJECTS_MAX": "5000", "TAILSPAN_METRICS_SERIES_MAX": "5000"}
UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
UUID_BYTES = re.compile(rb"\b([0-9a-f]{8})((?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\b")
VENDOR_ID = re.compile(rb"\b(?:msg|req|toolu)_\w+")


# --- OTLP: protobuf by hand -------------------------------------------------------------------------------------------

# Field number: name, form. A form is a scalar, a message (a table), or a list with one of them that may come often.
ANY = {1: ("string", "text"), 2: ("bool", "bool"), 3: ("int", "int"), 4: ("double", "double"), 7: ("bytes", "hex")}
KEY_VALUE = {1: ("key", "text"), 2: ("value", ANY)}
ANY[5] = ("array", {1: ("values", [ANY])})
ANY[6] = ("map", {1: ("values", [KEY_VALUE])})
ATTRIBUTES = ("attributes", [KEY_VALUE])
EVENT = {1: ("time", "fixed64"), 2: ("name", "text"), 3: ATTRIBUTES, 4: ("dropped", "int")}
LINK = {
    1: ("trace", "hex"), 2: ("span", "hex"), 3: ("state", "text"), 4: ATTRIBUTES, 5: ("dropped", "int"), 6: ("flags", "fixed32"),
}
SPAN = {
    1: ("trace", "hex"), 2: ("id", "hex"), 3: ("state", "text"), 4: ("parent", "hex"), 5: ("name", "text"), 6: ("kind", "int"),
    7: ("start", "fixed64"), 8: ("end", "fixed64"), 9: ATTRIBUTES, 10: ("dropped_attributes", "int"), 11: ("events", [EVENT]),
    12: ("dropped_events", "int"), 13: ("links", [LINK]), 14: ("dropped_links", "int"),
    15: ("status", {2: ("message", "text"), 3: ("code", "int")}), 16: ("flags", "fixed32"),
}
SCOPE = {1: ("name", "text"), 2: ("version", "text"), 3: ATTRIBUTES, 4: ("dropped", "int")}
SCOPE_SPANS = {1: ("scope", SCOPE), 2: ("spans", [SPAN]), 3: ("schema_url", "text")}
RESOURCE = {1: ATTRIBUTES, 2: ("dropped", "int")}
RESOURCE_SPANS = {1: ("resource", RESOURCE), 2: ("scopes", [SCOPE_SPANS]), 3: ("schema_url", "text")}
REQUEST = {1: ("resources", [RESOURCE_SPANS])}


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def scalar(form, wire, value):
    if form == "text":
        return bytes(value).decode()
    if form == "hex":
        return bytes(value).hex()
    if form == "bool":
        return bool(value)
    if form == "double":
        return struct.unpack("<d", value)[0]
    if form in ("fixed64", "fixed32"):
        return int.from_bytes(value, "little")
    assert form == "int" and wire == 0, (form, wire)
    return value - (1 << 64) if value >> 63 else value


def message(data, table):
    """A message as a dictionary. A field that its table does not name is an error: it would not be compared."""
    found, at = {}, 0
    while at < len(data):
        tag, at = varint(data, at)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, at = varint(data, at)
        else:
            size, at = varint(data, at) if wire == 2 else ({1: 8, 5: 4}[wire], at)
            value, at = data[at : at + size], at + size
        name, form = table[number]
        many, form = (True, form[0]) if isinstance(form, list) else (False, form)
        value = message(value, form) if isinstance(form, dict) else scalar(form, wire, value)
        if many:
            found.setdefault(name, []).append(value)
        else:
            found[name] = value
    return found


def spans_of(body):
    """The spans of one request, each with its scope and resource."""
    for resource in message(memoryview(body), REQUEST).get("resources", []):
        around = {"resource": resource.get("resource"), "resource_schema": resource.get("schema_url")}
        for scope in resource.get("scopes", []):
            around.update(scope=scope.get("scope"), scope_schema=scope.get("schema_url"))
            for span in scope.get("spans", []):
                yield span | around


class Sink:
    """An OTLP endpoint that keeps what it took. `takes` requests are taken, others are refused with 503; None: all."""

    def __init__(self, takes=None):
        self.takes, self.taken, sink = takes, [], self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                fine = sink.takes is None or len(sink.taken) < sink.takes
                if fine:
                    sink.taken.append(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
                self.send_response(200 if fine else 503)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True, kwargs={"poll_interval": 0.05}).start()
        self.url = "http://127.0.0.1:%d" % self.server.server_port

    def spans(self):
        return [span for body in list(self.taken) for span in spans_of(body)]

    def close(self):
        self.server.shutdown()
        self.server.server_close()


# --- the programs -----------------------------------------------------------------------------------------------------


def environment(settings=()):
    """Nothing of the user's own sessions or settings."""
    return {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **dict(settings)}


def write_epoch(state, first_start=EPOCH, instance=INSTANCE):
    """A state folder of a sidecar that started before all rows and has exported nothing."""
    state.mkdir(parents=True, mode=0o700)
    text = {"first_start": first_start, "exported_until": None, "instance": instance}
    (state / "epoch.json").write_text(json.dumps(text, indent=2))
    return state


def wait_for(ask, seconds, why, pause=0.05):
    end = time.monotonic() + seconds
    while True:
        answer = ask()
        if answer:
            return answer
        if time.monotonic() > end:
            raise TimeoutError(why() if callable(why) else why)
        time.sleep(pause)


def value(metrics, name):
    """Sum of the samples of a metric."""
    own = (line for line in metrics.splitlines() if re.match(name + r"[{ ]", line))
    return sum(float(line.rpartition(" ")[2]) for line in own)


class Sidecar:
    """A running program. Its log is beside its state."""

    # What does not change any more once it has come to rest: the first is 0 then, the second if it is to be drained.
    RESTS = ["read_lag_bytes", "outbox_spans", "lines_total", "turn_duration_seconds_count", "spans_exported_total"]

    def __init__(self, program, projects, state, options=(), settings=(), in_order=False):
        self.state, self.connection = Path(state), None
        # With one processor it reads with one thread, and so in the order of the paths.
        pinned = ["taskset", "-c", str(next(CPUS))] if in_order else []
        command = [*pinned, program, "run", "--projects", projects, "--state", state, "--listen", "127.0.0.1:0", *options]
        log = self.state.with_suffix(".log")
        begin = log.stat().st_size if log.exists() else 0
        with open(log, "ab") as out:
            streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": out}
            self.process = subprocess.Popen([str(part) for part in command], env=environment(settings), **streams)

        def said():
            if self.process.poll() is not None:
                raise RuntimeError(f"{program} ended with {self.process.returncode}: {log.read_text(errors='replace')[-2000:]}")
            return re.search(rb"tailspan is running.*address=\S*?:(\d+)\b", log.read_bytes()[begin:])

        self.port = int(wait_for(said, 60, f"{program} does not say where it listens", 0.01).group(1))

    def get(self, path, accept="*/*"):
        """Status and body; the connection is kept."""
        for again in (True, False):
            try:
                if self.connection is None:
                    self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
                self.connection.request("GET", path, headers={"Accept": accept})
                answer = self.connection.getresponse()
                return answer.status, answer.read().decode()
            except (http.client.HTTPException, OSError):
                self.connection = None
                if not again or self.process.poll() is not None:
                    raise

    def text(self, path, accept="*/*"):
        """The body, with the status before it unless it is 200."""
        status, body = self.get(path, accept)
        return body if status == 200 else f"HTTP {status}\n{body}"

    def json(self, path):
        return json.loads(self.get(path)[1])

    def settle(self, seconds=0.8, drained=True, longest=600):
        """Waits until everything is read, nothing waits in the outbox (if it is to be drained), and nothing has happened
        for so long."""
        seen, since, cpu = None, 0, 0
        end = time.monotonic() + longest
        while time.monotonic() < end:
            now = time.monotonic()
            status, metrics = self.get("/metrics")
            state = status == 200 and [value(metrics, "tailspan_" + name) for name in self.RESTS]
            works = not state or state[0] or (drained and state[1])
            busy = self.cpu()
            # Our own questions are a few per cent; turns that leave in one go show only at the end.
            if works or state != seen or (busy - cpu) > 0.2 * (now - since) + 0.03:
                seen, since, cpu = state, now, busy
            elif now - since >= seconds:
                return metrics
            time.sleep(0.1)
        raise TimeoutError(f"{self.state} does not come to rest: {seen}")

    def cpu(self):
        stat = Path("/proc/%d/stat" % self.process.pid).read_text().rpartition(")")[2].split()
        return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


# --- what is compared -------------------------------------------------------------------------------------------------


def shown_metrics(text, epoch, left_out, exemplars):
    """The lines that must be equal. A `_created` is told only as the epoch or as later: that is a time of this run."""
    out = [re.compile(r"(# \w+ )?" + pattern) for pattern, _ in [*LEFT_OUT, *left_out]]
    lines = []
    for line in text.splitlines():
        if any(pattern.match(line) for pattern in out):
            continue
        created = CREATED.match(line)
        if created:
            line = created.group(1) + ("epoch" if abs(float(created.group(2)) - epoch) < 0.001 else "later")
        lines.append(line if exemplars else EXEMPLAR.sub("", line))
    return "\n".join(lines)


def pages(sidecar, path, key, name):
    """All pages of an answer; `key` of one is the parameter `name` of the next."""
    found, more = [], ""
    while True:
        found.append(sidecar.text(path + more))
        following = json.loads(found[-1]).get(key) if found[-1].startswith("{") else None
        if following is None:
            return found
        more = f"&{name}={following}"


def sessions_of(listed):
    return [session["id"] for page in listed for session in json.loads(page)["sessions"]]


SCOPE_VERSION = re.compile(r'("otel.scope.version","type":"string","value":)"[^"]*"')


def jaeger_answer(text):
    """An answer of the Jaeger API without the version of tailspan, and without the one thing in it that depends on the
    moment: what goes on lasts until now."""
    text = SCOPE_VERSION.sub(r'\1"that of the program"', text)
    if "claude_code.in_progress" not in text:
        return text
    answer = json.loads(text)
    for trace in answer["data"]:
        end = lambda span: span["startTime"] + (span["duration"] if isinstance(span["duration"], int) else 0)
        tags = (tag for span in trace["spans"] for tag in span["tags"])
        now = max(map(end, trace["spans"])) if any(tag["key"] == "claude_code.in_progress" for tag in tags) else None
        for span in trace["spans"]:
            if end(span) == now:
                span["duration"] = "until now"
    return json.dumps(answer, ensure_ascii=False)


def answers(sidecar, epoch=EPOCH, left_out=(), exemplars=True, details=None, deep=True):
    """What the program says, by kind and then by what was asked. `details` are the sessions to look at, if not all."""
    epoch = datetime.fromisoformat(epoch.replace("Z", "+00:00")).timestamp()
    said = collections.defaultdict(dict)
    for name, accept in (("/metrics 0.0.4", TEXT), ("/metrics OpenMetrics", OPENMETRICS)):
        said[name][""] = shown_metrics(sidecar.text("/metrics", accept), epoch, left_out, exemplars)
    listed = pages(sidecar, "/api/v1/analytics/sessions?limit=40", "next_cursor", "cursor")
    said["session list, all pages"].update(enumerate(listed))
    base = "/api/v1/analytics/sessions/"
    ids = sessions_of(listed)
    traces = set()
    for id in ids if details is None else details(ids):
        text = said["session details"][id] = sidecar.text(base + id)
        traces.update(json.loads(text).get("trace_ids", []))
        if deep:
            replay = pages(sidecar, base + id + "/replay?limit=200", "next_from", "from")
            said["replay, all pages"].update({(id, number): page for number, page in enumerate(replay)})
    if deep:
        jaeger(sidecar, said, traces | set(ids))
    return said


def jaeger(sidecar, said, ids):
    for path in ("/api/services", "/api/services/claude-code/operations", "/api/traces?service=claude-code&limit=1000"):
        said["jaeger " + path][""] = jaeger_answer(sidecar.text("/jaeger" + path))
    search = json.loads(said["jaeger " + path][""])
    for id in sorted(ids | {trace["traceID"] for trace in search.get("data") or []}):
        kind = "session" if UUID.fullmatch(id) else "trace"
        said[f"jaeger /api/traces/{{{kind} id}}"][id] = jaeger_answer(sidecar.text("/jaeger/api/traces/" + id))


def spans(sink, version, is_live=False):
    """Spans by id, each as a text. The version of tailspan in the scope is that of the program. After a kill, and after a
    request that was refused, the same span may have come again: then it must be the same."""
    found = collections.defaultdict(list)
    for span in sink.spans():
        if (span["scope"] or {}).get("version") == version:
            span["scope"]["version"] = "that of the program"
        found[span["trace"], span["id"]].append(json.dumps(span, sort_keys=True))
    return {id: "\n".join(sorted(set(texts) if is_live else texts)) for id, texts in found.items()}


def version_of(program):
    return subprocess.check_output([program, "--version"], text=True, env=environment()).split()[-1]


# --- the report -------------------------------------------------------------------------------------------------------


def json_difference(old, new, path="$"):
    """Where two values differ."""
    if type(old) is type(new) and isinstance(old, dict):
        for key in [*old, *(key for key in new if key not in old)]:
            yield from json_difference(old.get(key, "(absent)"), new.get(key, "(absent)"), f"{path}.{key}")
    elif type(old) is type(new) and isinstance(old, list):
        if len(old) != len(new):
            yield f"{path}: {len(old)} items before, {len(new)} now"
        for number, (one, other) in enumerate(zip(old, new)):
            yield from json_difference(one, other, f"{path}[{number}]")
    elif old != new:
        yield f"{path}: {json.dumps(old, ensure_ascii=False)} before, {json.dumps(new, ensure_ascii=False)} now"


def difference(old, new, most=12):
    """Lines that say how two texts differ; one that is absent is shown whole."""
    if old is None or new is None:
        return [f"only {'the new' if old is None else 'the old'} program says: {new if old is None else old}"]
    try:
        lines = list(json_difference(json.loads(old), json.loads(new))) or ["the same JSON in other bytes"]
    except ValueError:
        unified = difflib.unified_diff(old.splitlines(), new.splitlines(), "old", "new", n=0, lineterm="")
        lines = [line for line in unified if not line.startswith(("--- ", "+++ ", "@@"))]
    more = len(lines) - most
    return lines[:most] + ([f"... and {more} further lines"] if more > 0 else [])


class Report:
    def __init__(self, shown):
        self.shown, self.total, self.kinds = shown, 0, {}

    def add(self, kind, key, old, new):
        counted = self.kinds.setdefault(kind, [0, []])
        counted[0] += 1
        if old != new:
            counted[1].append((key, old, new))

    def add_all(self, where, old, new):
        """Answers of both programs, by kind and by what was asked."""
        for kind in [*old, *(kind for kind in new if kind not in old)]:
            one, other = old.get(kind, {}), new.get(kind, {})
            for key in [*one, *(key for key in other if key not in one)]:
                self.add(kind, f"{where} {key}", one.get(key), other.get(key))

    def print(self, part):
        """One line per kind, and the first differences in full."""
        for kind, (count, wrong) in self.kinds.items():
            print(f"{part:9}{kind:50}{count:7} compared  {f'{len(wrong)} DIFFER' if wrong else 'equal'}")
            for key, old, new in wrong[: self.shown]:
                print(f"    {key}")
                for line in difference(old, new):
                    print(f"        {line}")
            self.total += len(wrong)
        self.kinds = {}
        sys.stdout.flush()


# --- the parts --------------------------------------------------------------------------------------------------------


def projects_below(folders):
    """Every folder named `projects`, with a name for it."""
    found = {}
    for folder in folders:
        for where in sorted(Path(folder).rglob("projects")):
            if where.is_dir():
                found[f"{Path(folder).name}/{where.parent.relative_to(folder)}"] = where
    return found


def said(program, arguments):
    """The exit code and the output of a command that ends by itself."""
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, env=environment())
    return f"exit code {done.returncode}\n{done.stdout.decode(errors='backslashreplace')}"


def compare_scans(programs, folders, report):
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for name, folder in folders.items():
            for command in COMMANDS:
                old, new = pool.map(lambda program: said(program, [*command, folder]), programs)
                report.add(" ".join(command), name, old, new)


def compare_runs(programs, projects, work, report, where, settings=(), with_spans=True, in_order=True, **asked):
    """Both programs beside each other on the same files, each with a state of its own."""
    sinks = [Sink(), Sink()]
    sidecars = []
    try:
        for number, program in enumerate(programs):
            state = write_epoch(work / f"state-{number}")
            export = ["--otlp-endpoint", sinks[number].url, "--traces-history-since", "all"] if with_spans else []
            sidecars.append(Sidecar(program, projects, state, export, QUICK | dict(settings), in_order))
        for sidecar in sidecars:
            sidecar.settle()
        compare_both(programs, sidecars, sinks, report, where, **asked)
        for sidecar, program in zip(sidecars, programs):
            report.add("exit code of run", where, "0", str(sidecar.stop()))
    finally:
        for sidecar in sidecars:
            sidecar.kill()
        for sink in sinks:
            sink.close()


def compare_both(programs, sidecars, sinks, report, where, is_live=False, **asked):
    """What both answer now, and what their sinks have got."""

    def both():
        found = [spans(sink, version_of(program), is_live) for sink, program in zip(sinks, programs)]
        said = [answers(sidecar, **asked) for sidecar in sidecars]
        for own, exported in zip(said, found):
            own["exported spans"] = exported
            # The two roots of the live part differ in one letter.
            for kind in own if is_live else ():
                own[kind] = {key: text.replace("/live/b/", "/live/a/") for key, text in own[kind].items()}
        return said

    old, new = both()
    # On a busy machine one may have come to rest late: what is only late is no difference.
    if old != new:
        time.sleep(2)
        for sidecar in sidecars:
            sidecar.settle(2)
        old, new = both()
    report.add_all(where, old, new)


def compare_singles(programs, folders, work, report):
    def one(item):
        (name, folder), report = item, Report(0)
        place = Path(tempfile.mkdtemp(dir=work))
        compare_runs(programs, folder, place, report, name)
        shutil.rmtree(place)
        return report

    # They mostly wait.
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        for own in pool.map(one, folders.items()):
            for kind, (count, wrong) in own.kinds.items():
                counted = report.kinds.setdefault(kind, [0, []])
                counted[0] += count
                counted[1].extend(wrong)


def unique(text, name):
    """Text with ids that no other folder has: what fixtures share is not meant as copies. Their form stays."""
    number = zlib.crc32(name.encode())
    text = UUID_BYTES.sub(lambda id: b"%08x" % (int(id.group(1), 16) ^ number) + id.group(2), text)
    return VENDOR_ID.sub(lambda id: id.group() + b"%08x" % number, text)


def merge(folders, root, is_unique):
    """All folders as one root: each slug with the name of where it is from behind it."""
    for name, folder in folders.items():
        rename = (lambda text: unique(text, name)) if is_unique else (lambda text: text)
        for slug in sorted(path for path in folder.iterdir() if path.is_dir()):
            place = root / f"{slug.name}-{name.replace('/', '-')}"
            for path in sorted(path for path in slug.rglob("*") if path.is_file()):
                copy = place / os.fsdecode(rename(os.fsencode(path.relative_to(slug))))
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes(rename(path.read_bytes()))
    return root


def compare_merged(programs, folders, work, report):
    compare_runs(programs, merge(folders, work / "projects", True), work, report, "merged", ALL_PROJECTS, exemplars=False)


def compare_collided(programs, folders, work, report):
    compare_runs(programs, merge(folders, work / "projects", False), work, report, "collided", ALL_PROJECTS, exemplars=False)


def compare_threads(programs, recordings, work, report):
    projects = merge(recordings, work / "projects", False)
    asked = {"left_out": LEFT_OUT_THREADS, "exemplars": False}
    compare_runs(programs, projects, work, report, "threads", ALL_PROJECTS, in_order=False, **asked)


def compare_corpus(programs, given, work, report):
    home = (Path(given.work) if given.work else work) / f"tailspan-corpus-{given.corpus_files}-{given.corpus_mb:g}-{given.seed}"
    if not (home / "truth.json").exists():
        size = ["--files", str(given.corpus_files), "--mb", str(given.corpus_mb), "--seed", str(given.seed)]
        command = [sys.executable, str(ROOT / "benches/gen_corpus.py"), str(home), *size]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    projects = home / ".claude/projects"
    for command in COMMANDS:
        old, new = (said(program, [*command, projects]) for program in programs)
        report.add(" ".join(command), "corpus", old, new)
    some = lambda ids: random.Random(given.seed).sample(sorted(ids), min(50, len(ids)))
    for in_order, left_out in ((True, ()), (False, LEFT_OUT_THREADS)):
        place = work / ("in-order" if in_order else "threads")
        asked = {"left_out": left_out, "details": some, "deep": False}
        asked |= {"with_spans": False, "in_order": in_order, "exemplars": in_order}
        compare_runs(programs, projects, place, report, f"corpus, {place.name}", **asked)


# --- live -------------------------------------------------------------------------------------------------------------

TIME = re.compile(rb"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z")
# In the live part a turn leaves after so long a quiet. Rows of one turn must never be that far apart, or it depends on the
# moment what leaves with it.
SETTLE_LIVE = 5
WAVES = 4


def moment(text):
    return datetime.fromisoformat(text.decode().replace("Z", "+00:00"))


def rows_in_order(folder, until):
    """The rows of a recording as (path, bytes), as their times order them, and shifted so that the last is at `until`.
    Files that are no rows come whole, before the rows that they are about."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    texts = {path.relative_to(folder): path.read_bytes() for path in files}
    found = [moment(match.group()) for text in texts.values() for match in TIME.finditer(text)]
    found = [time for time in found if time <= datetime.now(timezone.utc)]
    shift = until - max(found) if found else timedelta()

    def shifted(match):
        try:
            time = moment(match.group()) + shift
        except ValueError:
            return match.group()
        return (time.strftime("%Y-%m-%dT%H:%M:%S.") + "%03dZ" % (time.microsecond // 1000)).encode()

    whole = [(path, text) for path, text in texts.items() if path.suffix != ".jsonl"]
    timed = []
    for path, text in texts.items():
        latest = None
        rows = [TIME.sub(shifted, row) for row in text.splitlines(keepends=True)] if path.suffix == ".jsonl" else []
        stamps = [re.search(rb'"timestamp":"([^"]+Z)"', row) for row in rows]
        first = next((stamp.group(1) for stamp in stamps if stamp), b"")
        for row, stamp in zip(rows, stamps):
            latest = max(latest or first, stamp.group(1) if stamp else b"")
            timed.append((latest, len(timed), path, row))
    return whole, [(path, row) for _, _, path, row in sorted(timed, key=lambda row: row[:2])]


def chunks_of(folder, slug, until, dice):
    """What is written of a recording, one write after the other: rows of one file cut anywhere."""
    whole, rows = rows_in_order(folder, until)
    for path, text in whole:
        yield slug / path, text
    for path, run in itertools.groupby(rows, key=lambda row: row[0]):
        data = b"".join(row for _, row in run)
        while data:
            size = int(dice.lognormvariate(7.5, 1.2)) + 1
            yield slug / path, data[:size]
            data = data[size:]


class Pair:
    """Both programs, each with a root, a state and a sink of its own. What is done is done to both."""

    def __init__(self, programs, work):
        self.programs, self.sinks = programs, [Sink(), Sink()]
        self.roots = [work / "live" / name / "projects" for name in "ab"]
        self.states = [write_epoch(work / f"state-live-{name}") for name in "ab"]
        self.sidecars = []
        for root in self.roots:
            root.mkdir(parents=True)

    def start(self, settings):
        each = zip(self.programs, self.roots, self.states, self.sinks)
        options = lambda sink: ["--otlp-endpoint", sink.url, "--traces-history-since", "all"]
        self.sidecars = [Sidecar(program, root, state, options(sink), settings, True) for program, root, state, sink in each]

    def append(self, path, data):
        # What started a sub-agent is seen before its first row, as it is by the client's own pace: programs that link the
        # two by what they see first must not be told them in one moment.
        if path.suffix == ".jsonl" and not (self.roots[0] / path).exists():
            time.sleep(0.1)
        for root in self.roots:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            with open(root / path, "ab") as file:
                file.write(data)

    def end(self, how):
        for sidecar in self.sidecars:
            getattr(sidecar, how)()

    def refuse(self, refuses):
        for sink in self.sinks:
            sink.takes = 0 if refuses else None


def compare_live(programs, folders, given, work, report):
    dice = random.Random(given.seed)
    names = sorted(folders)
    dice.shuffle(names)
    settings = {"TAILSPAN_TRACES_SETTLE": f"{SETTLE_LIVE}s", "TAILSPAN_TRACES_HISTORY_RATE": "1000000"}
    pair = Pair(programs, work)
    try:
        pair.start(settings)
        writes = 0
        for wave in range(WAVES):
            writes += play_wave(pair, wave, names[wave::WAVES], folders, settings, dice)
            for sidecar in pair.sidecars:
                sidecar.settle(SETTLE_LIVE + 1.5)
        # Files go, as the client deletes them; what was in them stays.
        for root in pair.roots:
            for slug in sorted(root.iterdir())[::9]:
                shutil.rmtree(slug)
        pair.end("stop")
        # What has no end would last until now: it has been idle for long enough.
        pair.start(settings | QUICK | {"TAILSPAN_TRACES_IDLE": "1s"})
        for sidecar in pair.sidecars:
            sidecar.settle(2.5)
        report.add("rows of both folders", f"{writes} writes", *[said(pair.programs[0], ["scan", "--format", "json", root]) for root in pair.roots])
        asked = {"left_out": LEFT_OUT_LIVE, "exemplars": False}
        compare_both(programs, pair.sidecars, pair.sinks, report, "live", is_live=True, **asked)
        pair.end("stop")
    finally:
        pair.end("kill")
        for sink in pair.sinks:
            sink.close()


def play_wave(pair, wave, names, folders, settings, dice):
    """Writes some recordings side by side. In the middle: a restart, a kill, or a sink that refuses. Returns how many
    writes there were."""
    until = datetime.now(timezone.utc)
    growing, writes = [], 0
    for name in names:
        for slug in sorted(path for path in folders[name].iterdir() if path.is_dir()):
            place = Path(f"{slug.name}-{name.replace('/', '-')}")
            growing.append(chunks_of(slug, place, until, random.Random(dice.random())))
    total = len(growing)
    down_until = None
    while growing:
        playing = dice.choice(growing)
        try:
            pair.append(*next(playing))
        except StopIteration:
            growing.remove(playing)
            if down_until is None and len(growing) <= total * 2 // 3 and wave in (1, 2):
                pair.end("stop" if wave == 1 else "kill")
                down_until = writes + 25
            if wave == 3:
                pair.refuse(len(growing) > total // 2)
            continue
        writes += 1
        if down_until == writes:
            pair.start(settings)
        time.sleep(0.003)
    if down_until and down_until > writes:
        pair.start(settings)
    return writes


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("old")
    arguments.add_argument("new")
    arguments.add_argument("--fixtures", default=str(ROOT / "fixtures"))
    arguments.add_argument("--recordings", action="append", default=[], metavar="DIR")
    arguments.add_argument("--only", metavar="PARTS", help="these parts, with commas")
    arguments.add_argument("--live", action="store_true", help="the live part too")
    arguments.add_argument("--corpus-mb", type=float, default=500)
    arguments.add_argument("--corpus-files", type=int, default=1000)
    arguments.add_argument("--seed", type=int, default=7)
    arguments.add_argument("--shown", type=int, default=3, help="differences of each kind that are shown in full")
    arguments.add_argument("--work", metavar="DIR", help="folder for files, states and logs, which is not deleted")
    given = arguments.parse_args()
    programs = [str(Path(program).resolve()) for program in (given.old, given.new)]
    work = Path(tempfile.mkdtemp(prefix="tailspan-compare-", dir=given.work))
    folders = projects_below([given.fixtures, *given.recordings])
    # Of the real client, and so without ids that say different things: what the API served is beside them. One that was
    # cut for the fixtures is a copy of the whole one, so one of the two is enough.
    recordings = projects_below(given.recordings or [Path(given.fixtures) / "recordings"])
    recordings = {name: folder for name, folder in recordings.items() if (folder.parent / "truth.json").exists()}
    parts = {
        "scan": lambda place, report: compare_scans(programs, folders, report),
        "single": lambda place, report: compare_singles(programs, folders, place, report),
        "merged": lambda place, report: compare_merged(programs, folders, place, report),
        "collided": lambda place, report: compare_collided(programs, folders, place, report),
        "threads": lambda place, report: compare_threads(programs, recordings, place, report),
        "corpus": lambda place, report: compare_corpus(programs, given, place, report),
        "live": lambda place, report: compare_live(programs, recordings, given, place, report),
    }
    usual = [name for name in parts if (name != "live" or given.live) and (name != "corpus" or given.corpus_mb)]
    wanted = given.only.split(",") if given.only else usual
    report = Report(given.shown)
    try:
        for name in wanted:
            (work / name).mkdir()
            started = time.monotonic()
            parts[name](work / name, report)
            report.print(name)
            print(f"{name:9}took {time.monotonic() - started:.0f} s", flush=True)
    finally:
        if not given.work:
            shutil.rmtree(work, ignore_errors=True)
    print(f"{report.total} differences" if report.total else "no difference")
    sys.exit(1 if report.total else 0)


if __name__ == "__main__":
    main()
