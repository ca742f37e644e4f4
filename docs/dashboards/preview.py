#!/usr/bin/env python3
"""Asks every panel of every dashboard at a real Prometheus, says what they answered, and draws previews.

    python3 docs/dashboards/preview.py            draws docs/dashboards/*.png (needs chromium)
    python3 docs/dashboards/preview.py --table    only the table; exit 1 on an error or an answer that is empty
    python3 docs/dashboards/preview.py --table --install empty    the same of an install without a session; `one`: with one

Both need `prometheus` and `faketime` (Debian's packages) and a built tailspan (`--binary PATH`, else target/release,
else target/debug). Three sidecars live through eight generated days in some seconds: see days.py and rig.py.
"""

import argparse
import datetime as dt
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import draw
from panels import Asker, sample
from png import smaller
from rig import Missing, Rig, binary_of, needed

HERE = pathlib.Path(__file__).resolve().parent
DASHBOARDS = HERE.parent.parent / "dashboards"
ORDER = ["overview", "cost", "tools", "insights", "sessions", "team", "health"]
NOTHING = "no data yet"  # what a panel says that has no words of its own
# (dashboard, panel, query): why it answers nothing here. Whoever answers must not stand here.
EMPTY = {
    ("health", "Time since the latest row", "B"): "the rows of these days are there before their streams",
    ("health", "Series over the limit per hour", "A"): "no metric has 500 series in these days",
    ("cost", "Responses with gaps", "A"): "every response of these days tells its usage in numbers",
    ("cost", "Responses with gaps", "B"): "no client of these days reports a cost that none can mean",
    ("cost", "Responses with gaps", "C"): "no gateway chose an id in these days",
}


def load():
    return [(name, json.loads((DASHBOARDS / (name + ".json")).read_text())) for name in ORDER]


def table(rig, install):
    """Prints what every query answered; the number of those that are wrong."""
    wrong = 0
    print("| dashboard | panel | query | answer |\n|---|---|---|---|")
    for name, dashboard in load():
        asker = Asker(rig, dashboard)
        for panel in dashboard["panels"]:
            try:
                answers, _, _ = asker.panel(panel)
            except (ValueError, KeyError, TypeError) as error:
                wrong += 1
                print("| %s | %s | | ERROR %s |" % (name, panel["title"], error))
                continue
            for target, answer in answers:
                reason = EMPTY.get((name, panel["title"], target["refId"]))
                count, value = sample(answer)
                if install != "days":
                    # What has nothing to say yet must say so in words.
                    words = panel["fieldConfig"]["defaults"]["noValue"]
                    wrong += value is None and words == NOTHING
                    print("| %s | %s | %s | %s |" % (name, panel["title"], target["refId"], value or "says: " + words))
                    continue
                what = "%d %s, for example %s" % (count, "series" if "expr" in target else "rows", value)
                if value is None:
                    what = reason or "EMPTY without a reason"
                wrong += (value is None) != (reason is not None)
                if value is not None and reason:
                    what += " LISTED AS EMPTY"
                print("| %s | %s | %s | %s |" % (name, panel["title"], target["refId"], what))
    return wrong


def pictures(rig, folder, browser):
    for name, dashboard in load():
        asker = Asker(rig, dashboard)
        cards = [(panel, card(asker, panel)) for panel in dashboard["panels"]]
        since = dashboard["time"]["from"].replace("now-", "last ")
        text, height = draw.page(dashboard, cards, since)
        page, picture = folder / (name + ".html"), HERE / (name + ".png")
        page.write_text(text, encoding="utf-8")
        profile = folder / ("chromium-" + name)
        subprocess.run(
            [browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
             "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
             "--user-data-dir=%s" % profile, "--window-size=%d,%d" % (draw.WIDTH, height),
             "--screenshot=%s" % picture, page.as_uri()], check=True, timeout=120,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        picture.write_bytes(smaller(picture.read_bytes()))
        print("%s: %d kB" % (picture.name, picture.stat().st_size // 1000))


def card(asker, panel):
    answers, start, step = asker.panel(panel)
    length = (draw.END - start).total_seconds()
    marks = []
    for target, _ in answers:
        if target.get("exemplar"):
            marks += [{"x": one["timestamp"], "y": float(one["value"])}
                      for one in asker.exemplars(target, start, length, step)]
    marks = list({(mark["x"], mark["y"]): mark for mark in marks}.values())
    return lambda width, height: draw.draw(panel, answers, start, step, marks, width, height)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--install", choices=["days", "one", "empty"], default="days")
    parser.add_argument("--binary")
    parser.add_argument("--keep", action="store_true", help="keep the folder with all that was made")
    given = parser.parse_args()
    given.table = given.table or given.install != "days"
    folder = pathlib.Path(tempfile.mkdtemp(prefix="tailspan-preview-"))
    started, rig, wrong = time.monotonic(), None, 0

    def say(text):
        print("%5.1f s  %s" % (time.monotonic() - started, text), file=sys.stderr, flush=True)

    try:
        browser = None if given.table else needed("chromium", "chromium")
        rig = Rig(binary_of(given.binary), folder, dt.timedelta(minutes=10 if given.table else 4), say, given.install)
        wrong = table(rig, given.install)
        say("every query is answered as it should be" if not wrong else "%d answers are wrong" % wrong)
        if browser:
            pictures(rig, folder, browser)
            say("the previews are drawn")
    except Missing as missing:
        print(missing, file=sys.stderr)
        return 77
    finally:
        if rig:
            rig.stop()
        if not given.keep:
            shutil.rmtree(folder, ignore_errors=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
