"""Draws answers as HTML: close to what Grafana shows, made to judge layout, colours and data by eye."""

import datetime as dt
import html
import math
import re

from days import END
from panels import legend

GRID, LINE, GAP, WIDTH = 24, 30, 8, 1440
INK, DIM, CARD, PAGE, RULE = "#d8d9da", "#9a9ba3", "#181b1f", "#111217", "#2c2f36"
# Grafana's classic palette: the colours of series that have none of their own, by position.
CLASSIC = ["#7EB26D", "#EAB839", "#6ED0E0", "#EF843C", "#E24D42", "#1F78C1", "#BA43A9", "#705DA0", "#508642",
           "#CCA300", "#447EBC", "#C15C17", "#890F02", "#0A437C", "#6D1F62", "#584477", "#B7DBAB", "#F4D598"]
NAMED = {"green": "#73BF69", "yellow": "#FADE2A", "orange": "#FF9830", "red": "#F2495C", "blue": "#5794F2"}
esc = html.escape


def short(value, decimals=None):
    for size, letter in ((1e9, " Bil"), (1e6, " Mil"), (1e3, " K")):
        if abs(value) >= size:
            return "%.*f%s" % (1 if decimals is None else max(decimals, 1), value / size, letter)
    if decimals is None:
        decimals = 0 if value == round(value) else 2 if abs(value) < 10 else 1
    return "%.*f" % (decimals, value)


def shown(value, unit, decimals=None):
    if value is None or value == "":
        return ""
    is_number = not isinstance(value, str) or re.fullmatch(r"-?[\d.]+(e[+-]?\d+)?", value)
    if unit == "dateTimeAsLocal":
        told = dt.datetime.fromtimestamp(float(value) / 1000, dt.UTC).isoformat() if is_number else value
        return told[:19].replace("T", " ")
    if not is_number:
        return value
    value = float(value)
    if unit == "currencyUSD":
        return "$" + ("%.*f" % (2 if decimals is None else decimals, value) if value < 1000 else short(value, 2))
    if unit == "percentunit":
        return "%.*f%%" % (0 if decimals is None else decimals, 100 * value)
    if unit == "bytes":
        for size, name in ((2**30, " GiB"), (2**20, " MiB"), (2**10, " KiB")):
            if value >= size:
                return "%.1f%s" % (value / size, name)
        return "%d B" % value
    if unit == "s":
        for size, name in ((86400, " days"), (3600, " hours"), (60, " mins")):
            if value >= size:
                return "%.1f%s" % (value / size, name)
        return "%.0f ms" % (1000 * value) if 0 < value < 1 else "%.*f s" % (1 if decimals is None else decimals, value)
    if unit == "bool_yes_no":
        return "Yes" if value else "No"
    return short(value, decimals)


class Fields:
    """Unit, decimals and colour of a series or column, overrides included."""

    def __init__(self, panel):
        self.defaults = panel["fieldConfig"]["defaults"]
        self.overrides = panel["fieldConfig"]["overrides"]

    def of(self, name, position=0):
        found = {"unit": self.defaults["unit"], "decimals": self.defaults.get("decimals"), **{
            key: self.defaults[key] for key in ("max",) if key in self.defaults}}
        for override in self.overrides:
            matcher = override["matcher"]
            if matcher["options"] == name or matcher["id"] == "byRegexp" and re.fullmatch(matcher["options"], name):
                found.update({one["id"]: one["value"] for one in override["properties"]})
        colour = found.get("color", {}).get("fixedColor")
        if not colour:
            default = self.defaults.get("color", {})
            colour = default.get("fixedColor") or CLASSIC[position % len(CLASSIC)]
        return {**found, "colour": colour}

    def threshold(self, value):
        colour = INK
        for step in self.defaults["thresholds"]["steps"]:
            if step["value"] is None or value >= step["value"]:
                colour = NAMED.get(step["color"], step["color"])
        return colour


def numbers(values):
    return [(float(at), float(value)) for at, value in values if value not in ("NaN", "+Inf", "-Inf")]


def draw(panel, answers, start, step, exemplars, width, height):
    """The inside of a card."""
    entries = [(legend(target, one["labels"]), one) for target, answer in answers if "expr" in target
               for one in answer]
    kind = panel["type"]
    if kind == "table":
        return table(panel, answers, height)
    if kind == "stat":
        return stat(panel, answers, entries, width, height)
    if kind == "bargauge" and "expr" not in answers[0][0]:
        entries = bars_of_rows(panel, answers[0])
    if not any(numbers(one["values"]) for _, one in entries):
        return nothing(panel)
    if kind == "bargauge":
        return bars(panel, entries, width, height)
    if kind == "heatmap":
        return heat(panel, entries, start, step, width, height)
    return lines(panel, entries, start, step, exemplars, width, height)


REDUCERS = {"lastNotNull": lambda values: values[-1], "max": max, "sum": sum}


def bars_of_rows(panel, asked):
    """A bar for each row of a table: its texts are the name, its number the length."""
    target, rows = asked
    made = []
    for row in rows[:panel["options"]["reduceOptions"]["limit"]]:
        texts = [str(row[one["text"]]) for one in target["columns"] if one["type"] == "string"]
        number = next(row[one["text"]] for one in target["columns"] if one["type"] == "number")
        made.append((" ".join(texts), {"values": [(0, number)]}))
    return made


def nothing(panel):
    return '<div class="none">%s</div>' % esc(panel["fieldConfig"]["defaults"]["noValue"])


def stat(panel, answers, entries, width, height):
    fields = Fields(panel)
    made = []
    for target, answer in answers:
        if "expr" not in target and answer:
            reduced = REDUCERS[panel["options"]["reduceOptions"]["calcs"][0]]
            for column in target["columns"]:
                values = [float(row[column["text"]]) for row in answer if row[column["text"]] is not None]
                if values:
                    made.append((column["text"], reduced(values), []))
    for name, one in entries:
        values = numbers(one["values"])
        if values:
            made.append((name, values[-1][1], values))
    if not made:
        return nothing(panel)
    parts = []
    for name, value, history in made:
        field = fields.of(name)
        colour = fields.threshold(value) if "thresholds" in fields.defaults else field["colour"]
        spark = sparkline(history, width, height, colour) if len(history) > 1 else ""
        label = '<div class="label">%s</div>' % esc(name) if len(made) > 1 else ""
        text = mapped(value, fields.defaults.get("mappings", []))[0] or shown(value, field["unit"], field["decimals"])
        size = 22 if panel["options"]["orientation"] == "horizontal" else min(34, int(1.7 * (width / len(made)) / max(len(text), 4)))
        parts.append('<div class="one">%s%s<div class="big" style="color:%s;font-size:%dpx">%s</div></div>'
                     % (spark, label, colour, size, esc(text)))
    stacked = ' stacked' if panel["options"]["orientation"] == "horizontal" else ""
    return '<div class="stats%s">%s</div>' % (stacked, "".join(parts))


def sparkline(values, width, height, colour):
    top = max(value for _, value in values) or 1
    first, last = values[0][0], values[-1][0]
    h = height * 0.45
    points = " ".join("%.1f,%.1f" % (width * (at - first) / ((last - first) or 1), h - h * value / top)
                      for at, value in values)
    return ('<svg class="spark" width="%d" height="%d"><polygon points="0,%d %s %d,%d" fill="%s" fill-opacity=".22"/>'
            '</svg>' % (width, h, h, points, width, h, colour))


def bars(panel, entries, width, height):
    fields = Fields(panel)
    rows = sorted(((name, numbers(one["values"])[-1][1]) for name, one in entries), key=lambda row: -row[1])
    top = max(value for _, value in rows) or 1
    line = min(30, (height - 4) / len(rows))
    made = []
    for name, value in rows:
        field = fields.of(name)
        made.append(
            '<div class="bar" style="height:%.1fpx"><span class="name">%s</span><span class="track">'
            '<span style="width:%.1f%%;background:%s"></span></span><span class="value" style="color:%s">%s</span></div>'
            % (line, esc(name), 100 * value / top, field["colour"], field["colour"],
               esc(shown(value, field["unit"], field["decimals"]))))
    return "".join(made)


def table(panel, answers, height):
    fields = Fields(panel)
    if "expr" in answers[0][0]:
        organised = next(one["options"] for one in panel["transformations"] if one["id"] == "organize")
        names = organised["renameByName"]
        label = next(name for name in names if not name.startswith("Value"))
        rows = {}
        for target, answer in answers:
            column = names.get("Value #" + target["refId"]) or names["Value"]
            for one in answer:
                key = one["labels"].get(label, "")
                rows.setdefault(key, {names[label]: key})[column] = float(one["values"][0][1])
        titles, rows = list(names.values()), list(rows.values())
    else:
        titles = [column["text"] for column in answers[0][0]["columns"]]
        rows = answers[0][1]
    if not rows:
        return nothing(panel)
    for order in panel["options"].get("sortBy", []):
        rows = sorted(rows, key=lambda row: float(row.get(order["displayName"]) or -1), reverse=order["desc"])
    kinds = {title: fields.of(title).get("custom.cellOptions", fields.defaults["custom"].get("cellOptions", {})) for title in titles}
    wraps = any(kind.get("wrapText") for kind in kinds.values())
    heat = [title for title in titles if kinds[title].get("type") == "color-background"]
    top = max((float(row[title]) for row in rows for title in heat), default=0) or 1
    fitting = len(rows) if wraps else int((height - 26) / 25)
    made = ["<tr>%s</tr>" % "".join(header(title, fields.of(title)) for title in titles)]
    for row in rows[:fitting]:
        cells = [cell(row.get(title), fields.of(title), kinds[title], top) for title in titles]
        made.append("<tr>%s</tr>" % "".join(cells))
    name = ' class="heat"' if heat else ' class="fixed"' if wraps else ""
    return '<table%s>%s</table>' % (name, "".join(made))


def header(title, field):
    width = field.get("custom.width")
    return "<th%s>%s</th>" % (' style="width:%dpx;max-width:%dpx"' % (width, width) if width else "", esc(title))


def cell(value, field, kind, top):
    text, colour = mapped(value, field.get("mappings", []))
    if text is None:
        text = shown(value, field["unit"], field["decimals"])
    style, name = "", []
    if kind.get("type") == "color-background":
        style = "background:rgba(87,148,242,%.2f)" % (0.85 * float(value) / top)
    elif kind.get("type") == "color-text" and colour:
        style = "color:%s" % colour
    elif kind.get("type") == "gauge":
        share = 100 * float(value or 0) / field["max"]
        text, name = None, ["gauge"]
        inside = '<span class="track"><span style="width:%.1f%%;background:%s"></span></span><span class="value">%s</span>' % (
            share, field["colour"], esc(shown(value, field["unit"], field["decimals"])))
    if field.get("links") and text:
        name.append("link")
    if kind.get("wrapText"):
        name.append("wraps")
    if field.get("custom.width"):
        style += ";max-width:%dpx" % field["custom.width"]
    return '<td class="%s" style="%s">%s</td>' % (" ".join(name), style, inside if text is None else esc(text))


def mapped(value, mappings):
    """Text and colour that stand for a value, as Grafana's value mappings say."""
    for mapping in mappings:
        if mapping["type"] == "special":
            if value is None and mapping["options"]["match"] == "null" or value == "" and mapping["options"]["match"] == "empty":
                return mapping["options"]["result"]["text"], None
            continue
        for wanted, result in mapping["options"].items():
            is_zero = wanted == "0" and re.fullmatch(r"0(\.0*)?", str(value))
            if str(value) == wanted or is_zero:
                return result["text"], result.get("color")
    return None, None


def ticks(start, end, width):
    for size in (1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800):
        if (end - start) / size <= min(7, width / 45):
            break
    first = math.ceil(start / size) * size
    while first < end:
        time = dt.datetime.fromtimestamp(first, dt.UTC)
        yield first, time.strftime("%m-%d" if size >= 86400 else "%m-%d %H:%M" if end - start > 90000 else "%H:%M")
        first += size


def steps_of(top):
    size = 10 ** math.floor(math.log10(top / 4 or 1))
    for factor in (1, 2, 2.5, 5, 10):
        if top / (size * factor) <= 5:
            return size * factor
    return size * 10


def lines(panel, entries, start, step, exemplars, width, height):
    fields = Fields(panel)
    custom = fields.defaults["custom"]
    stacked = custom["stacking"]["mode"] == "normal"
    log = custom.get("scaleDistribution", {}).get("type") == "log"
    rows = 1 + sum(len(name) * 6.3 + 24 for name, _ in entries) // (width - 10)
    left, right, low = 64, 8, 18 + 16 * min(rows, 3)
    if any(fields.of(name).get("custom.axisPlacement") == "right" for name, _ in entries):
        right = 36
    w, h = width - left - right, height - low - 4
    begin, end = start.timestamp(), END.timestamp()
    series, base = [], {}
    for position, (name, one) in enumerate(entries):
        field, values = fields.of(name, position), dict(numbers(one["values"]))
        if field.get("custom.axisPlacement") == "right":
            series.append((name, field, [(at, value, 0) for at, value in sorted(values.items())], True))
            continue
        points = []
        for at, value in sorted(values.items()):
            under = base.get(at, 0) if stacked else 0
            points.append((at, under + value, under))
            if stacked:
                base[at] = under + value
        series.append((name, field, points, False))
    highest = max((value for _, _, points, own in series if not own for _, value, _ in points), default=0)
    flat, highest = not highest, highest or 1
    highest = max(highest, max((one["y"] for one in exemplars), default=0)) if not stacked else highest
    if log:
        smallest = min((value for *_, points, _ in series for _, value, _ in points if value > 0), default=0.1)
        floor, ceiling = math.floor(math.log10(smallest)), math.ceil(math.log10(highest))
        ceiling = max(ceiling, floor + 1)
        y = lambda value: h - h * (math.log10(max(value, 10**floor)) - floor) / (ceiling - floor) + 4
        marks = [10.0**power for power in range(floor, ceiling + 1)]
    else:
        size = steps_of(highest)
        top = size * math.ceil(highest / size * 1.02)
        y = lambda value: h - h * value / top + 4
        marks = [0] if flat else [size * count for count in range(int(round(top / size)) + 1)]
    x = lambda at: left + w * (at - begin) / (end - begin)
    made = []
    for mark in marks:
        made.append('<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="%s"/>' % (left, left + w, y(mark), y(mark), RULE))
        made.append('<text x="%d" y="%.1f" text-anchor="end">%s</text>'
                    % (left - 5, y(mark) + 4, esc(shown(mark, fields.defaults["unit"], fields.defaults.get("decimals") if highest < 0.1 else None))))
    if right > 8:
        for mark in (0, 0.5, 1):
            made.append('<text x="%d" y="%.1f">%d%%</text>' % (left + w + 4, h - h * mark + 8, 100 * mark))
    for at, text in ticks(begin, end, w):
        made.append('<text x="%.1f" y="%.1f" text-anchor="middle">%s</text>' % (x(at), h + 18, text))
    for name, field, points, own in series:
        colour = field["colour"]
        scale = (lambda value: h - h * value + 4) if own else y
        if field.get("custom.drawStyle", custom["drawStyle"]) == "bars":
            for at, value, under in points:
                thick = w * step / (end - begin) * 0.7
                made.append('<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s" fill-opacity=".85"/>' % (
                    max(x(at) - thick, left), scale(value), thick, scale(under) - scale(value), colour))
            continue
        for run in runs(points, step):
            path = " ".join("%.1f,%.1f" % (x(at), scale(value)) for at, value, _ in run)
            made.append('<polyline points="%s" fill="none" stroke="%s" stroke-width="%s"/>'
                        % (path, colour, 1.6 if own else 1.2))
            if len(run) == 1:
                made.append('<circle cx="%.1f" cy="%.1f" r="1.6" fill="%s"/>' % (x(run[0][0]), scale(run[0][1]), colour))
    for one in exemplars:
        px, py = x(one["x"]), y(one["y"])
        made.append('<path d="M%.1f %.1fl3 3-3 3-3-3z" fill="#5794F2" stroke="#fff" stroke-width=".5"/>' % (px, py - 3))
    keys = "".join('<span class="key"><i style="background:%s"></i>%s</span>' % (field["colour"], esc(name))
                   for name, field, _, _ in series)
    return ('<svg width="%d" height="%d">%s</svg><div class="keys" style="max-height:%dpx">%s</div>'
            % (width, height - low + 20, "".join(made), 16 * min(rows, 3), keys))


def runs(points, step):
    run = []
    for point in points:
        if run and point[0] - run[-1][0] > step * 1.5:
            yield run
            run = []
        run.append(point)
    if run:
        yield run


def heat(panel, entries, start, step, width, height):
    unit = panel["options"]["yAxis"]["unit"]
    bounds = sorted(((float(name.replace("+Inf", "inf")), dict(numbers(one["values"]))) for name, one in entries),
                    key=lambda entry: entry[0])
    rows, under = [], {}
    for bound, values in bounds:
        rows.append((bound, {at: value - under.get(at, 0) for at, value in values.items()}))
        under = values
    used = [at for at, (_, values) in enumerate(rows) if any(value > 0.4 for value in values.values())]
    rows = rows[max(used[0] - 1, 0):used[-1] + 2]
    top = max(value for _, values in rows for value in values.values())
    left, low = 58, 20
    w, h = width - left - 8, height - low - 4
    begin, end = start.timestamp(), END.timestamp()
    tall = h / len(rows)
    made = []
    for number, (bound, values) in enumerate(rows):
        y = h - tall * (number + 1) + 4
        name = "more" if math.isinf(bound) else shown(bound, unit, 3 if bound < 0.01 else 2)
        made.append('<text x="%d" y="%.1f" text-anchor="end">%s</text>' % (left - 5, y + tall / 2 + 4, esc(name)))
        for at, value in values.items():
            if value > 0.4:
                thick = w * step / (end - begin)
                x = max(left + w * (at - begin) / (end - begin) - thick, left)
                made.append('<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="#FF7F0E" fill-opacity="%.2f"/>' % (
                    x, y + 0.5, thick - 1, tall - 1,
                    0.15 + 0.85 * math.sqrt(value / top)))
    for at, text in ticks(begin, end, w):
        made.append('<text x="%.1f" y="%.1f" text-anchor="middle">%s</text>'
                    % (left + w * (at - begin) / (end - begin), h + 18, text))
    return '<svg width="%d" height="%d">%s</svg>' % (width, height, "".join(made))


STYLE = """
body{margin:0;background:%s;color:%s;font:12px 'DejaVu Sans',sans-serif;width:%dpx;position:relative}
.head{padding:10px 12px 4px;font-size:17px}.head small{color:%s;font-size:11px;margin-left:12px}
.note{position:absolute;right:12px;top:13px;color:#FF9830;font-size:11px}
.card{position:absolute;background:%s;border:1px solid %s;border-radius:3px;overflow:hidden}
.title{padding:6px 8px 2px;font-weight:500;white-space:nowrap;overflow:hidden;text-overflow:ellipsis}
.title small{color:%s;font-weight:400;margin-left:8px;font-size:10px}
svg text{fill:%s;font-size:10px}.keys{padding:0 8px;overflow:hidden;line-height:16px;font-size:10.5px;color:%s}
.key{margin-right:10px;white-space:nowrap}.key i{display:inline-block;width:10px;height:3px;margin:0 4px 3px 0;vertical-align:middle}
.stats{display:flex;height:100%%}.stacked{flex-direction:column}.stacked .one{flex-direction:row;justify-content:space-between;padding:0 14px}.one{flex:1;position:relative;display:flex;flex-direction:column;justify-content:center;align-items:center}
.big{position:relative;font-weight:500;white-space:nowrap}.label{position:relative;color:%s}.spark{position:absolute;left:0;bottom:0}
.none{display:flex;height:100%%;align-items:center;justify-content:center;color:%s}
.bar{display:flex;align-items:center;padding:0 8px}.name{width:34%%;overflow:hidden;text-overflow:ellipsis;white-space:nowrap;font-size:11px}
.track{flex:1;height:62%%;background:#22252b}.track span{display:block;height:100%%;opacity:.8}.value{width:78px;text-align:right;white-space:nowrap}
table{border-collapse:collapse;width:100%%;font-size:11px}th{text-align:left;color:#6E9FFF;font-weight:500}
td,th{padding:0 8px;height:24px;border-bottom:1px solid %s;white-space:nowrap;max-width:260px;overflow:hidden;text-overflow:ellipsis}
td.link{color:#6E9FFF;text-decoration:underline}td.wraps{white-space:normal;line-height:14px;padding:3px 8px}
td.gauge{min-width:150px}td.gauge .track{display:inline-block;width:90px;height:12px;vertical-align:middle}td.gauge .value{display:inline-block;width:52px}
table.fixed,table.heat{table-layout:fixed}
table.heat td,table.heat th{padding:0 2px;text-align:center;max-width:54px}table.heat td:first-child,table.heat th:first-child{text-align:left;padding-left:8px;max-width:100px}
"""


def page(dashboard, cards, since):
    unit = (WIDTH - GAP) / GRID
    made = []
    bottom = 0
    for panel, inside in cards:
        grid = panel["gridPos"]
        x, y = GAP + grid["x"] * unit, 44 + grid["y"] * (LINE + GAP)
        w, h = grid["w"] * unit - GAP, grid["h"] * (LINE + GAP) - GAP
        bottom = max(bottom, y + h + GAP)
        time = "<small>%s</small>" % {"now/d": "today so far", "now/M": "this month so far"}.get(
            panel["timeFrom"], "last " + panel["timeFrom"]) if panel.get("timeFrom") else ""
        made.append('<div class="card" style="left:%.1fpx;top:%.1fpx;width:%.1fpx;height:%.1fpx"><div class="title">%s%s'
                    '</div><div style="height:%.1fpx">%s</div></div>'
                    % (x, y, w, h, esc(panel["title"]), time, h - 28, inside(w - 2, h - 30)))
    style = STYLE % (PAGE, INK, WIDTH, DIM, CARD, RULE, DIM, DIM, INK, DIM, DIM, RULE)
    text = ("<!doctype html><meta charset=utf-8><style>%s</style><div class=head>%s<small>%s</small></div>"
            "<div class=note>preview: drawn by docs/dashboards/preview.py, not by Grafana; generated sessions</div>%s"
            % (style, esc(dashboard["title"]), esc(since), "".join(made)))
    return text, math.ceil(bottom)
