"""Asks the questions of a panel as Grafana would: variables replaced, times aligned, instant or as a range."""

import datetime as dt
import math
import re

from days import END
from rig import SCRAPE

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
PIXELS = 65  # of a column of the grid, on a screen of usual width
ROUND = [15, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 10800, 21600, 43200, 86400]


def seconds(text):
    return int(text[:-1]) * UNITS[text[-1]]


def span(text):
    """Start of a time range that ends at the end of the days."""
    now = END
    if text == "now/d":
        return now.replace(hour=0, minute=0)
    if text == "now/M":
        return now.replace(day=1, hour=0, minute=0)
    return now - dt.timedelta(seconds=seconds(text.removeprefix("now-")))


class Asker:
    def __init__(self, rig, dashboard):
        self.rig, self.dashboard = rig, dashboard
        sessions = rig.api("/api/v1/analytics/sessions?sort=turns&limit=1")["sessions"]
        self.session = sessions[0]["id"] if sessions else ""

    def panel(self, panel):
        """Answers of a panel: a list of (target, answer), and the step of its ranges."""
        start = span(panel.get("timeFrom") or self.dashboard["time"]["from"])
        length = (END - start).total_seconds()
        wanted = length / (panel["gridPos"]["w"] * PIXELS)
        step = max(seconds(panel.get("interval", "15s")), next((one for one in ROUND if one >= wanted), 86400))
        answers = [(target, self.target(target, start, length, step)) for target in panel["targets"]]
        return answers, start, step

    def replaced(self, text, start, length, step):
        values = {
            "__rate_interval": "%ds" % max(step + SCRAPE, 4 * SCRAPE), "__interval": "%ds" % step,
            "__range": "%ds" % length, "job": ".*", "instance": ".*", "session": self.session, "__timezone": "UTC",
            "__from:date:iso": start.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
            "__to:date:iso": END.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        }
        return re.sub(r"\$\{([\w:]+)\}|\$([a-z_]\w*)", lambda found: values[found[1] or found[2]], text)

    def target(self, target, start, length, step):
        if "expr" not in target:
            return rows_of(self.rig.api(self.replaced(target["url"], start, length, step)), target)
        expression = self.replaced(target["expr"], start, length, step)
        if target.get("instant"):
            return [dict(labels=one["metric"], values=[one["value"]])
                    for one in self.rig.instant(expression, END.timestamp())]
        first = math.floor(start.timestamp() / step) * step
        last = math.floor(END.timestamp() / step) * step
        return [dict(labels=one["metric"], values=one["values"])
                for one in self.rig.range(expression, first, last, step)]

    def exemplars(self, target, start, length, step):
        found = self.rig.exemplars(self.replaced(target["expr"], start, length, step), start.timestamp())
        return [one for series in found for one in series["exemplars"]]


# What an answer leaves out where there is none.
SOMETIMES = {"trace_id"}


def at(value, selector):
    """What a GJSON path finds, as far as the dashboards have them: names, positions, `#(name!="text")#` for the rows that
    meet it. A name that an object has not is an error here: whoever renames a field shall hear of it."""
    for part in re.findall(r'#\([^)]*\)#|[^.]+', selector):
        if part.startswith("#("):
            name, unwanted = re.fullmatch(r'#\((\w+)!="(.*)"\)#', part).groups()
            value = [entry for entry in value if entry[name] != unwanted]
        elif isinstance(value, list):
            value = value[int(part)] if int(part) < len(value) else None
        elif value is not None:
            value = value.get(part) if part in SOMETIMES else value[part]
    return value


def rows_of(answer, target):
    """What Infinity makes of an answer: a row per entry of the root, a column per selector."""
    try:
        root = at(answer, target["root_selector"].removeprefix("[").removesuffix("]|@flatten"))
    except KeyError:
        if not target["root_selector"].startswith("["):
            raise
        # No session is chosen: the question is that for the list, which has no turns.
        return []
    rows = [] if root is None else root if isinstance(root, list) else [root]
    return [{column["text"]: at(entry, column["selector"]) for column in target["columns"]} for entry in rows]


def legend(target, labels):
    if target["legendFormat"]:
        return re.sub(r"\{\{(\w+)\}\}", lambda found: labels.get(found[1], ""), target["legendFormat"]) or "all"
    return "value"


def sample(answer):
    """(series or rows, a number to show) of an answer; no number if it holds none."""
    if answer and "labels" not in answer[0]:
        return len(answer), next((str(value) for value in answer[0].values() if value is not None), None)
    numbers = [value for one in answer for _, value in one["values"] if value not in ("NaN", "+Inf", "-Inf")]
    return len(answer), numbers[-1] if numbers else None
