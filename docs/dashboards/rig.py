"""Sidecars that live through the generated days, and a real Prometheus that holds what they showed.

    clock     libfaketime gives the sidecars the time of a file; this program moves it on from step to step
    rows      the rows up to that time are appended, then /metrics is asked until it has read them all
    samples   every answer is kept with its time, written as OpenMetrics, and made into blocks by promtool
    live      in the end Prometheus scrapes the sidecars as OpenMetrics: that is where exemplars come from
"""

import datetime as dt
import glob
import http.server
import json
import os
import pathlib
import shutil
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

from days import END, START, first_moment, machines
from streams import limits, runs

SCRAPE = 60  # seconds between samples: what Prometheus does unless told otherwise
DEADLINE = 60
BUDGETS = [("a month", 200, "month"), ("a day", 20, "day")]


class Missing(Exception):
    """A program that has to be installed."""


def needed(program, package):
    found = shutil.which(program)
    if not found:
        raise Missing("%s is not installed: apt-get install %s" % (program, package))
    return found


def fake_clock():
    found = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
    if not found:
        raise Missing("libfaketime is not installed: apt-get install faketime")
    return found[0]


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def get(url, accept="*/*"):
    request = urllib.request.Request(url, headers={"Accept": accept})
    with urllib.request.urlopen(request, timeout=DEADLINE) as answer:
        return answer.read().decode()


def wait_for(what, ask):
    deadline = time.monotonic() + DEADLINE
    while True:
        try:
            answer = ask()
        except (urllib.error.URLError, ConnectionError, OSError):
            answer = None
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise TimeoutError("waited in vain: " + what)
        time.sleep(0.01)


class Backend(http.server.BaseHTTPRequestHandler):
    """Takes spans, except while it is `away`."""

    away = False

    def do_POST(self):
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(503 if Backend.away else 200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class Sidecar:
    def __init__(self, binary, folder, host, rows, clock, endpoint):
        self.host, self.rows, self.next, self.lines = host, rows, 0, 0
        self.runs, self.next_run_line = runs(rows, START) if host.night else [], 0
        self.projects = folder / "projects"
        self.projects.mkdir(parents=True)
        # History, which is there before the first start and in no counter.
        self.write(START)
        self.port = free_port()
        self.samples = []
        environment = {
            "PATH": os.environ["PATH"], "HOME": str(folder), "TZ": "UTC", "LD_PRELOAD": fake_clock(),
            "FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }
        config = folder / "tailspan.toml"
        config.write_text("".join('[[budgets]]\nname = "%s"\nusd = %d\nperiod = "%s"\n' % budget for budget in BUDGETS))
        command = [binary, "run", "--config", config, "--projects", self.projects, "--state", folder / "state", "--listen",
                   "127.0.0.1:%d" % self.port, "--otlp-endpoint", endpoint]
        self.log = open(folder / "log", "wb")
        self.process = subprocess.Popen(command, env=environment, stdout=self.log, stderr=self.log)
        wait_for("the sidecar answers", lambda: get(self.url("/-/ready")))

    def url(self, path):
        return "http://127.0.0.1:%d%s" % (self.port, path)

    def write(self, until):
        while self.next < len(self.rows) and self.rows[self.next][0] <= until:
            _, path, line = self.rows[self.next]
            path = self.projects / path
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.name.endswith(".meta.json"):
                path.write_text(line)
            else:
                with open(path, "a", encoding="utf-8") as file:
                    file.write(line + "\n")
                self.lines += 1
            self.next += 1

    def post(self, path, kind, body, **headers):
        request = urllib.request.Request(self.url(path), body.encode(), {"Content-Type": kind, **headers})
        urllib.request.urlopen(request, timeout=DEADLINE).read()

    def pass_on(self, until):
        """Hands over the streams, as `tailspan stream` does it, and where people work, what the status line says."""
        due = {}
        while self.next_run_line < len(self.runs) and self.runs[self.next_run_line][0] <= until:
            _, run, workflow, line = self.runs[self.next_run_line]
            due.setdefault((run, workflow), []).append(line + "\n")
            self.next_run_line += 1
        if due:
            # The files first: how much later they come than the streams cannot be told of a clock that stands still.
            self.until_read()
        for (run, workflow), lines in due.items():
            headers = {"Tailspan-Run": run, "Tailspan-Workflow": workflow}
            self.post("/api/v1/events", "application/x-ndjson", "".join(lines), **headers)
        if not self.host.night:
            self.post("/api/v1/limits", "application/json", json.dumps(limits(until)))

    def look_at_budgets(self):
        """They are looked at once a minute, which these days do not last, and whenever somebody asks."""
        get(self.url("/api/v1/analytics/costs?limit=1"))

    def until_read(self):
        """What it shows when it has read all rows."""
        def read():
            values = {}
            for line in get(self.url("/metrics")).splitlines():
                if not line.startswith("#"):
                    name, value = line.rsplit(" ", 1)
                    values[name] = value
            return values if float(values["tailspan_lines_total"]) >= self.lines else None

        return wait_for("%s has read %d lines" % (self.host.instance, self.lines), read)

    def sample(self, at):
        self.samples.append((at, self.until_read()))

    def stop(self):
        self.process.terminate()
        self.process.wait(DEADLINE)
        self.log.close()


def moments(start, step):
    """Every half an hour until the last day, then every `step`."""
    at, dense = start, END - dt.timedelta(hours=25)
    while at < END:
        yield at
        quiet = dense <= at < END.replace(hour=6, minute=0) and (at.hour >= 20 or at.hour < 6)
        at += dt.timedelta(minutes=30) if at < dense or quiet else step
    yield END


def openmetrics(sidecars, path):
    """What would have been scraped, as text with times. A series of a histogram that stays 0 is left out: there are
    many, and the live scrape has them."""
    with open(path, "w", encoding="utf-8") as file:
        for sidecar in sidecars:
            last = sidecar.samples[-1][1]
            labels = 'job="tailspan",instance="%s"' % sidecar.host.instance
            names = {}
            for name, value in last.items():
                plain, brace, rest = name.partition("{")
                if float(value) == 0 and plain.endswith(("_bucket", "_sum", "_count")):
                    continue
                # As Prometheus 3 stores it, whichever format it scrapes.
                names[name] = "%s{%s%s" % (plain, labels, "," + rest if brace else "}")
            dense = (END - dt.timedelta(hours=25)).timestamp()
            for (at, values), following in zip(sidecar.samples, [*sidecar.samples[1:], (END, {})], strict=True):
                times = [at.timestamp()]
                while times[-1] + SCRAPE < following[0].timestamp() and times[0] >= dense:
                    times.append(times[-1] + SCRAPE)
                for position, moment in enumerate(times):
                    last_one = position == len(times) - 1
                    for name, stored in names.items():
                        # Of what does not change every other sample is enough, and half of the work.
                        if name in values and (position % 2 == 0 or last_one and following[1].get(name) != values[name]):
                            file.write("%s %s %d\n" % (stored, values[name], moment))
        file.write("# EOF\n")


class Rig:
    def __init__(self, binary, folder, step, say, install="days"):
        self.folder, self.say = folder, say
        self.sidecars, self.prometheus = [], None
        self.programs = [needed("promtool", "prometheus"), needed("prometheus", "prometheus")]
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Backend)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.live(binary, step, install)
        self.store(install)

    def live(self, binary, step, install):
        clock, start = self.folder / "clock", first_moment(install)
        self.set_clock(clock, start)
        endpoint = "http://127.0.0.1:%d" % self.server.server_address[1]
        for number, (host, rows) in enumerate(machines(install)):
            self.sidecars.append(Sidecar(binary, self.folder / str(number), host, rows, clock, endpoint))
        count = 0
        for at in moments(start, step):
            Backend.away = END.replace(hour=13, minute=0) <= at < END.replace(hour=13, minute=40)
            # The rows first: a sidecar that reads them early finds them in the past at the latest when it is asked.
            self.set_clock(clock, at)
            for sidecar in self.sidecars:
                sidecar.write(at)
                if install == "days":
                    sidecar.pass_on(at)
            for sidecar in self.sidecars:
                if at.minute in (0, 30) or at == END:
                    sidecar.until_read()
                    sidecar.look_at_budgets()
                sidecar.sample(at)
            count += 1
        rows = sum(sidecar.lines for sidecar in self.sidecars)
        self.say("%d sidecars lived until %s: %d rows in %d steps" % (len(self.sidecars), END, rows, count))

    @staticmethod
    def set_clock(clock, at):
        fresh = clock.with_suffix(".new")
        fresh.write_text(at.strftime("@%Y-%m-%d %H:%M:%S\n"))
        os.replace(fresh, clock)

    def store(self, install):
        promtool, prometheus = self.programs
        history, blocks = self.folder / "history.txt", self.folder / "tsdb"
        openmetrics(self.sidecars, history)
        done = subprocess.run([promtool, "tsdb", "create-blocks-from", "openmetrics", "--max-block-duration=1000h",
                               "--quiet", history, blocks], capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError("promtool: " + done.stdout[-500:] + done.stderr[-500:])
        targets = "".join("  - {targets: ['127.0.0.1:%d'], labels: {instance: '%s'}}\n" % (one.port, one.host.instance)
                          for one in self.sidecars)
        config = self.folder / "prometheus.yml"
        config.write_text("global: {scrape_interval: 1s, scrape_timeout: 1s}\nscrape_configs:\n"
                          "- job_name: tailspan\n  static_configs:\n" + targets)
        self.address = "http://127.0.0.1:%d" % free_port()
        self.prometheus = subprocess.Popen(
            [prometheus, "--config.file=%s" % config, "--storage.tsdb.path=%s" % blocks,
             "--storage.tsdb.retention.time=10y", "--enable-feature=exemplar-storage",
             "--web.listen-address=%s" % self.address[7:]], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for("Prometheus is ready", lambda: get(self.address + "/-/ready"))
        if install == "days":
            wait_for("Prometheus has exemplars", lambda: self.exemplars("tailspan_turn_duration_seconds_bucket"))
        self.say("Prometheus holds %d MB of samples" % (history.stat().st_size // 1_000_000))

    def ask(self, path, **parameters):
        url = "%s/api/v1/%s?%s" % (self.address, path, urllib.parse.urlencode(parameters))
        try:
            return json.loads(get(url))["data"]
        except urllib.error.HTTPError as error:
            raise ValueError(json.loads(error.read())["error"]) from error

    def instant(self, expression, at):
        return self.ask("query", query=expression, time=at)["result"]

    def range(self, expression, start, end, step):
        return self.ask("query_range", query=expression, start=start, end=end, step=step)["result"]

    def exemplars(self, expression, start=START.timestamp(), end=END.timestamp()):
        return self.ask("query_exemplars", query=expression, start=start, end=end)

    def api(self, path):
        """A question to the first sidecar, as Infinity asks it."""
        return json.loads(get(self.sidecars[0].url(path)))

    def stop(self):
        if self.prometheus:
            self.prometheus.terminate()
            self.prometheus.wait(DEADLINE)
        for sidecar in self.sidecars:
            sidecar.stop()
        self.server.shutdown()


def binary_of(given):
    if given:
        return given
    root = pathlib.Path(__file__).resolve().parent.parent.parent
    for profile in ("release", "debug"):
        path = root / "target" / profile / "tailspan"
        if path.is_file():
            return str(path)
    raise Missing("no binary: cargo build, or --binary PATH")
