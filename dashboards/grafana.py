"""The pieces of a Grafana dashboard as plain dictionaries: colours, variables, panels, layout.

Classic JSON, schemaVersion 39: Grafana 11 and later load it. Everything that all dashboards share stands here once;
what a dashboard shows stands in generate.py.
"""

import colorsys
import json
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROM = {"type": "prometheus", "uid": "${prometheus_datasource}"}
INFINITY = {"type": "yesoreyeram-infinity-datasource", "uid": "${infinity_datasource}"}
SCOPE = 'job=~"$job", instance=~"$instance"'

# --- colours: one meaning, one colour, in every panel ---------------------------------------------------------------

BLUE, ORANGE, GREEN, YELLOW = "#5794F2", "#FF9830", "#73BF69", "#FADE2A"
RED, PURPLE, GREY, TEAL = "#F2495C", "#B877D9", "#8E8E99", "#3CC3B4"

KINDS = {"cache_read": GREEN, "cache_write_5m": YELLOW, "cache_write_1h": ORANGE, "input": BLUE, "output": PURPLE}
AGENTS = {"main": BLUE, "subagent": PURPLE}
OUTCOMES = {"error": RED, "denied": ORANGE, "interrupted": YELLOW}
API_REASONS = {
    "rate_limit": ORANGE, "overloaded": YELLOW, "server_error": RED, "authentication": PURPLE,
    "invalid_request": BLUE, "connection": TEAL, "other": GREY,
}
RUN_OUTCOMES = {
    "success": GREEN, "interrupted": YELLOW, "error_max_turns": ORANGE, "error_during_execution": RED, "api_error": PURPLE,
    "killed": GREY,
}
ORIGINS = {"human": BLUE, "sdk": TEAL, "task_notification": GREY, "teammate": PURPLE}
GAPS = {"missing": ORANGE, "not_a_number": YELLOW, "implausible cost": RED}
CHANGES = {"added": GREEN, "removed": RED}
STATES = {"active": GREEN, "permission": RED, "question": ORANGE, "unknown": YELLOW, "idle": GREY}
RUNAWAYS = {"cost": RED, "calls": ORANGE, "failures": PURPLE}
QUANTILES = {"median": GREEN, "p90": ORANGE, "p95": ORANGE, "p99": RED}
TOOLS = {
    "Agent": PURPLE, "Task": "#8F3BB8", "Bash": ORANGE, "Read": BLUE, "Edit": GREEN, "Write": "#37872D",
    "Grep": TEAL, "Glob": "#1F78C1", "WebFetch": YELLOW, "WebSearch": "#E0B400", "Skill": "#FF85C0",
    "ToolSearch": "#A352CC", "mcp": RED, "other": GREY,
}
FAMILIES = {"opus": 268, "sonnet": 28, "haiku": 150, "fable": 205, "mythos": 330}


def models():
    """Canonical model ids with a colour each: a hue per family, the newest generation in the strongest shade."""
    prices = json.loads((ROOT / "src/ledger/prices.json").read_text())
    ids = [model["id"] for model in prices["models"]]
    colours = {}
    for family, hue in FAMILIES.items():
        mine = [name for name in ids if family in name]
        for age, name in enumerate(reversed(mine)):
            lightness = 0.55 + 0.30 * age / max(len(mine) - 1, 1)
            red, green, blue = colorsys.hls_to_rgb(hue / 360, lightness, 0.75)
            colours[name] = "#%02X%02X%02X" % (round(red * 255), round(green * 255), round(blue * 255))
    return colours


MODELS = models()


def fixed(colours):
    """Overrides that give series of these names these colours."""
    return [override("byName", name, color={"mode": "fixed", "fixedColor": colour}) for name, colour in colours.items()]


def override(matcher, options, **properties):
    names = {"custom_": "custom."}
    listed = []
    for name, value in properties.items():
        for short, long in names.items():
            name = name.replace(short, long, 1) if name.startswith(short) else name
        listed.append({"id": name, "value": value})
    return {"matcher": {"id": matcher, "options": options}, "properties": listed}


def column(name, **properties):
    """What is special about a column of a table: `unit`, `decimals`, `links`, `width`."""
    if "width" in properties:
        properties["custom_width"] = properties.pop("width")
    return override("byName", name, **properties)


# --- PromQL ---------------------------------------------------------------------------------------------------------

def series(name, *matchers):
    return "tailspan_%s{%s}" % (name, ", ".join([SCOPE, *matchers]))


def rate(name, *matchers):
    return "rate(%s[$__rate_interval])" % series(name, *matchers)


def increase(name, *matchers, over="$__range", offset=""):
    return "increase(%s[%s]%s)" % (series(name, *matchers), over, " offset " + offset if offset else "")


def increase_from_the_first(name, *matchers, over="$__range"):
    """As `increase`, and all of a series that begins above 0 in that time: those that are new when they are of interest."""
    one = series(name, *matchers)
    return "(%s unless last_over_time(%s[1d] offset %s)) or %s" % (one, one, over, increase(name, *matchers, over=over))


def of_sidecars(expression):
    """Only the processes that are a tailspan: whatever else Prometheus scrapes has `process_*` as well."""
    return "%s and on (job, instance) %s" % (expression, series("build_info"))


def total(expression, by=""):
    return "sum by (%s) (%s)" % (by, expression) if by else "sum(%s)" % expression


def or_zero(expression):
    """0 where nothing has happened yet and 0 is the truth."""
    return expression + " or vector(0)"


def ranked(expression):
    """Largest first: bars stand in the order of the answer."""
    return "sort_desc(%s)" % expression


def used(expression, label, over):
    """Only the values of a label that something happened with in the chosen time: no legend of zeros."""
    return "%s and on (%s) (sum by (%s) (%s) > 0)" % (expression, label, label, over)


def at_end(expression):
    """A function over the chosen time, looked at from its end: asked once, not at every step."""
    return expression.replace("[$__range])", "[$__range] @ end())")


def ratio(part, whole):
    """Empty, not NaN, while there is nothing to divide by."""
    return "%s / (%s > 0)" % (part, whole)


def quantile(q, name, *matchers, by=""):
    """Empty, not NaN, where nothing was observed."""
    labels = "le, " + by if by else "le"
    return "histogram_quantile(%s, sum by (%s) (%s)) >= 0" % (q, labels, rate(name + "_bucket", *matchers))


def host(expression):
    """Sums by host: the instance without its port."""
    by_instance = "sum by (instance) (%s)" % expression
    return 'sum by (host) (label_replace(%s, "host", "$1", "instance", "(.+?)(:[0-9]+)?"))' % by_instance


# --- targets --------------------------------------------------------------------------------------------------------

def query(expression, legend="", *, instant=False, exemplar=False, form="time_series"):
    target = {"datasource": PROM, "editorMode": "code", "expr": expression, "format": form, "legendFormat": legend}
    target["instant" if instant else "range"] = True
    if exemplar:
        target["exemplar"] = True
    return target


# The chosen time, as parameters of the sidecar's API. Grafana knows the zone of the browser.
CHOSEN = "since=${__from:date:iso}&until=${__to:date:iso}&tz=${__timezone}"


def analytics(name, more=""):
    """The path of a question to the sidecar about the chosen time."""
    return "/api/v1/analytics/%s?%s%s" % (name, CHOSEN, "&" + more if more else "")


def or_none(root):
    """A root that may be absent, in the language of the Infinity data source: then there are no rows, and no error."""
    return "[%s]|@flatten" % root


def api(path, root, columns):
    """A question to the sidecar's API through the Infinity data source; `columns` are (selector, title, type).

    The backend parser reads root and selectors as GJSON paths. A root that is not there is an error, one that is null has
    no rows; a selector that finds nothing is an empty cell.
    """
    return {
        "datasource": INFINITY, "type": "json", "source": "url", "parser": "backend", "format": "table",
        "url": path, "url_options": {"method": "GET", "data": ""}, "root_selector": root, "filters": [],
        "columns": [{"selector": selector, "text": text, "type": kind} for selector, text, kind in columns],
    }


# --- panels ---------------------------------------------------------------------------------------------------------

def panel(kind, title, description, unit, targets, *, options, overrides=(), nothing="no data yet", decimals=None,
          interval=None, time_from=None, transformations=(), links=(), defaults=None):
    if isinstance(targets, dict):
        targets = [targets]
    for letter, target in zip("ABCDEFGHIJ", targets, strict=False):
        target["refId"] = letter
    fields = {"unit": unit, "noValue": nothing, **(defaults or {})}
    if decimals is not None:
        fields["decimals"] = decimals
    made = {
        "type": kind, "title": title, "description": description, "datasource": targets[0]["datasource"],
        "fieldConfig": {"defaults": fields, "overrides": list(overrides)}, "options": options, "targets": targets,
    }
    if interval:
        made["interval"] = interval
    if time_from:
        made.update(timeFrom=time_from, hideTimeOverride=False)
    if transformations:
        made["transformations"] = list(transformations)
    if links:
        made["links"] = list(links)
    return made


def steps(*thresholds, first="green"):
    """Colours from bounds upwards: `steps((1, "orange"))` is green below 1."""
    return {"mode": "absolute", "steps": [{"color": first, "value": None}]
            + [{"color": colour, "value": value} for value, colour in thresholds]}


def stat(title, description, unit, targets, *, colour=None, thresholds=None, spark=False, mappings=(), reduced="lastNotNull",
         stacked=False, **more):
    """`stacked`: several values stand below each other."""
    defaults = {"mappings": list(mappings)}
    if thresholds:
        defaults.update(color={"mode": "thresholds"}, thresholds=thresholds)
    else:
        defaults.update(color={"mode": "fixed", "fixedColor": colour or BLUE})
    options = {
        "colorMode": "value", "graphMode": "area" if spark else "none", "justifyMode": "auto", "textMode": "auto",
        "orientation": "horizontal" if stacked else "auto", "wideLayout": True, "showPercentChange": False,
        "reduceOptions": {"calcs": [reduced], "fields": "", "values": False},
    }
    return panel("stat", title, description, unit, targets, options=options, defaults=defaults, **more)


def timeseries(title, description, unit, targets, *, stack=False, log=False, top=None, thresholds=None, legend="list",
               **more):
    # Stacks are bars. As areas, a series that is 0 lies as a line on top of the others, and the stack has its colour; and
    # what one person does comes in short bursts, which an area stretches to triangles.
    custom = {
        "drawStyle": "bars" if stack else "line", "lineWidth": 0 if stack else 1, "showPoints": "never",
        "fillOpacity": 80 if stack else 8, "spanNulls": False,
        "stacking": {"mode": "normal" if stack else "none", "group": "A"}, "lineInterpolation": "linear",
    }
    if log:
        # No least value: a logarithm has no 0.
        custom["scaleDistribution"] = {"type": "log", "log": 10}
    # By position: Prometheus sorts series by their labels, so instances and hosts keep their colours from panel to
    # panel, and neighbours never look alike, which they may by name.
    defaults = {"custom": custom, "color": {"mode": "palette-classic"}, **({} if log else {"min": 0})}
    if top is not None:
        defaults["max"] = top
    if thresholds:
        defaults["thresholds"] = thresholds
        custom["thresholdsStyle"] = {"mode": "dashed"}
    options = {
        "legend": {"displayMode": legend, "placement": "bottom", "showLegend": True,
                   "calcs": ["max", "lastNotNull"] if legend == "table" else []},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    return panel("timeseries", title, description, unit, targets, options=options, defaults=defaults, **more)


def bargauge(title, description, unit, targets, *, rows=False, **more):
    """`rows`: a bar for each row of a table, named by its texts, instead of one for each series."""
    reduced = {"limit": 10} if rows else {}
    options = {
        "displayMode": "basic", "orientation": "horizontal", "showUnfilled": True, "valueMode": "color",
        "namePlacement": "auto", "minVizHeight": 12, "minVizWidth": 8, "sizing": "auto",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": rows, **reduced},
    }
    # One colour: the names stand beside the bars.
    defaults = {"color": {"mode": "fixed", "fixedColor": BLUE}, "min": 0}
    return panel("bargauge", title, description, unit, targets, options=options, defaults=defaults, **more)


def heatmap(title, description, unit, target, **more):
    options = {
        "calculate": False, "cellGap": 1, "cellValues": {"unit": "short"}, "filterValues": {"le": 1e-9},
        "color": {"mode": "scheme", "scheme": "Oranges", "steps": 32, "reverse": False, "fill": "dark-orange",
                  "scale": "exponential", "exponent": 0.5},
        "legend": {"show": True}, "rowsFrame": {"layout": "auto"}, "showValue": "never",
        "tooltip": {"mode": "single", "yHistogram": False}, "yAxis": {"unit": unit, "axisPlacement": "left"},
    }
    return panel("heatmap", title, description, unit, target, options=options, **more)


def table(title, description, unit, targets, *, sort=None, heat=False, **more):
    """`heat`: cells are coloured by their numbers, all on one scale, and as narrow as their texts."""
    options = {"showHeader": True, "cellHeight": "sm", "footer": {"show": False, "reducer": ["sum"], "fields": ""}}
    if sort:
        options["sortBy"] = [{"displayName": sort, "desc": True}]
    defaults = {"custom": {"align": "auto", "filterable": True}, "color": {"mode": "thresholds"}}
    if heat:
        cells = {"type": "color-background", "mode": "basic"}
        defaults = {"custom": {"align": "center", "filterable": False, "minWidth": 44, "cellOptions": cells},
                    "color": {"mode": "continuous-blues"}, "min": 0}
    return panel("table", title, description, unit, targets, options=options, defaults=defaults, **more)


def columns(first, titles):
    """Joins one-number-per-label queries to a table: the label's title, then one title per query."""
    label, title = first
    letters = "ABCDEFGHIJ"
    names = {"Value" if len(titles) == 1 else "Value #" + letters[at]: name for at, name in enumerate(titles)}
    order = {label: 0, **{name: at + 1 for at, name in enumerate(names)}}
    return [
        {"id": "merge", "options": {}},
        {"id": "organize", "options": {"excludeByName": {"Time": True}, "indexByName": order,
                                       "renameByName": {label: title, **names}}},
    ]


def shaped(asked, *money):
    """Columns of an answer of the API in the order in which they were asked for: Infinity sorts them by name.

    Money comes as decimal texts, so that it is exact; a table sorts numbers. Infinity makes numbers of them, too, but did
    not always.
    """
    converted = [{"targetField": title, "destinationType": "number"} for title in money]
    order = {title: at for at, (_, title, _) in enumerate(asked)}
    return [{"id": "convertFieldType", "options": {"fields": {}, "conversions": converted}},
            {"id": "organize", "options": {"excludeByName": {}, "indexByName": order, "renameByName": {}}}]


# --- links ----------------------------------------------------------------------------------------------------------

def drill(title, uid):
    return {"title": title, "url": "/d/%s?${__url_time_range}&${__all_variables}" % uid}


def answer_of(title, name, more=""):
    """What the sidecar itself says of the chosen time, as JSON in another tab."""
    return {"title": title, "url": "${tailspan:raw}" + analytics(name, more), "targetBlank": True}


def explore(query_text, since="${__from}", until="${__to}"):
    """The address of Explore with a question to the Jaeger data source."""
    source = '"datasource":{"type":"jaeger","uid":"${jaeger_datasource}"}'
    pane = ('{"a":{"datasource":"${jaeger_datasource}","queries":[{"refId":"A",%s,%s}],"range":{"from":"%s","to":"%s"}}}'
            % (source, query_text, since, until))
    # Braces and quotes are encoded, variables are not: Grafana replaces them first.
    parts = re.split(r"(\$\{[^}]+\})", pane)
    encoded = "".join(part if part.startswith("${") else part.replace("{", "%7B").replace("}", "%7D")
                      .replace('"', "%22").replace(" ", "%20") for part in parts)
    return "/explore?schemaVersion=1&panes=" + encoded


def trace_of(field):
    return explore('"query":"${__data.fields.%s:raw}"' % field)


# --- dashboards -----------------------------------------------------------------------------------------------------

def source_variable(name, label, kind):
    return {"type": "datasource", "name": name, "label": label, "query": kind, "current": {}, "options": [],
            "hide": 0, "includeAll": False, "multi": False, "refresh": 1, "regex": "", "skipUrlSync": False}


def label_variable(name, label, values):
    # All is `.*`, which also matches what has no such label: series that were pushed may lack `job` or `instance`.
    return {"type": "query", "name": name, "label": label, "datasource": PROM, "query": values, "definition": values,
            "current": {"selected": True, "text": ["All"], "value": ["$__all"]}, "options": [], "hide": 0,
            "includeAll": True, "allValue": ".*", "multi": True, "refresh": 2, "regex": "", "sort": 1,
            "skipUrlSync": False}


def text_variable(name, label, value):
    chosen = {"selected": True, "text": value, "value": value}
    return {"type": "textbox", "name": name, "label": label, "query": value, "current": chosen, "options": [chosen],
            "hide": 0, "skipUrlSync": False}


def answers_link(link):
    """A link of a panel as one of a dashboard, in the row of its variables."""
    return {"type": "link", "asDropdown": False, "includeVars": False, "keepTime": False, "tags": [], "icon": "doc",
            "tooltip": "", **link}


def dashboard(uid, title, description, rows, *, since="now-24h", refresh="1m", variables=(), links=()):
    panels, y, number = [], 0, 0
    for height, entries in rows:
        x = 0
        for width, made in entries:
            number += 1
            panels.append({"id": number, "gridPos": {"h": height, "w": width, "x": x, "y": y}, **made})
            x += width
        y += height
    return {
        "uid": uid, "title": title, "description": description, "tags": ["tailspan", "claude-code"],
        "schemaVersion": 39, "editable": False, "graphTooltip": 1, "timezone": "browser", "weekStart": "",
        "fiscalYearStartMonth": 0, "liveNow": False, "refresh": refresh, "time": {"from": since, "to": "now"},
        "timepicker": {}, "annotations": {"list": []},
        "links": [{"type": "dashboards", "title": "tailspan", "tags": ["tailspan"], "asDropdown": True,
                   "includeVars": True, "keepTime": True, "targetBlank": False, "icon": "external link",
                   "tooltip": "", "url": ""}, *map(answers_link, links)],
        "templating": {"list": [
            source_variable("prometheus_datasource", "Prometheus data source", "prometheus"),
            *variables,
            label_variable("job", "Job", "label_values(tailspan_build_info, job)"),
            label_variable("instance", "Instance", 'label_values(tailspan_build_info{job=~"$job"}, instance)'),
        ]},
        "panels": panels,
    }


def text_of(value, depth=4, indent=0):
    """JSON that diffs well: the outer levels one entry a line, the inner ones on one line."""
    pad, inner = " " * indent, " " * (indent + 1)
    if depth and isinstance(value, dict) and value:
        entries = ["%s%s: %s" % (inner, json.dumps(key), text_of(entry, depth - 1, indent + 1))
                   for key, entry in value.items()]
        return "{\n%s\n%s}" % (",\n".join(entries), pad)
    if depth and isinstance(value, list) and value:
        entries = [inner + text_of(entry, depth - (0 if isinstance(entry, dict) else 1), indent + 1) for entry in value]
        return "[\n%s\n%s]" % (",\n".join(entries), pad)
    return json.dumps(value, ensure_ascii=False)
