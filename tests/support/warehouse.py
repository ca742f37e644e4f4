"""Asks the questions of deploy/warehouse in DuckDB and in ClickHouse, and answers them once more in plain Python.

    warehouse.py ask LAKE        for each line on standard input (a folder of facts, see Facts): asks all questions in both
                                 engines, whose views are made once, compares them with the facts, and prints one line of JSON
    warehouse.py rows LAKE       the number of rows of each view in both engines
    warehouse.py compact LAKE TO makes a lake of fewer files of it, with DuckDB
    warehouse.py older FILE...   writes Parquet again as an older version would have (without the last column of messages)
    warehouse.py newer FILE...   the same as a newer one might (with a column that nobody knows)
"""

import collections
import csv
import datetime
import decimal
import json
import pathlib
import re
import sys

TOP = pathlib.Path(__file__).resolve().parents[2] / "deploy/warehouse"
VIEWS = ["messages", "tools", "turns", "sessions", "shares", "costs"]
# How responses are counted in the views that have all sums.
TOTALS = [("count(*)", "messages"), ("sum(c.messages)", "costs")]
KINDS = ["input", "output", "cache_read", "cache_write_5m", "cache_write_1h"]


def statements(text):
    """The statements of a file, without comments."""
    plain = re.sub(r"--.*$", "", text, flags=re.M)
    return [one for one in re.split(r";[ ]*(?:\n|$)", plain) if one.strip()]


def plain(value):
    """A value in the form that both engines are compared in; money without zeros at its end."""
    if isinstance(value, decimal.Decimal):
        return format(value.normalize() if value else decimal.Decimal(0), "f")
    return str(value) if isinstance(value, datetime.date) else value


class DuckDB:
    def __init__(self, lake):
        import duckdb

        self.connection = duckdb.connect()
        self.connection.execute("SET VARIABLE lake = $1", [lake])
        self.connection.execute((TOP / "duckdb/views.sql").read_text())

    def ask(self, statement):
        found = self.connection.execute(statement)
        names = [column[0] for column in found.description]
        return {"columns": names, "rows": [[plain(value) for value in row] for row in found.fetchall()]}


class ClickHouse:
    def __init__(self, lake):
        from chdb import session

        self.session = session.Session()
        for statement in statements((TOP / "clickhouse/views.sql").read_text().replace("'lake/", f"'{lake}/")):
            self.session.query(statement)

    def ask(self, statement):
        form = "FORMAT JSONCompact SETTINGS output_format_json_quote_decimals = 1, output_format_json_quote_64bit_integers = 0"
        found = json.loads(str(self.session.query(f"{statement}\n{form}")))
        is_money = ["Decimal" in column["type"] for column in found["meta"]]
        rows = [
            [plain(decimal.Decimal(value)) if money and value is not None else value for value, money in zip(row, is_money)]
            for row in found["data"]
        ]
        return {"columns": [column["name"] for column in found["meta"]], "rows": rows}


class Facts:
    """What `tailspan` says of all session files at once, and which host has what, from a folder of these files:

    scan.json                         `scan --format json --sessions` of the folders of all hosts
    messages, tools, turns, sessions  `export TABLE --format ndjson` of the same, as TABLE.ndjson
    host-N.messages.ndjson, ...       the same of each host by itself
    """

    def __init__(self, folder, lake):
        self.folder = pathlib.Path(folder)
        self.scan = json.loads((self.folder / "scan.json").read_text(), parse_float=decimal.Decimal)
        self.messages, self.tools, self.turns = (self.rows(table) for table in ("messages", "tools", "turns"))
        self.sessions = {row["session"]: row for row in self.rows("sessions")}
        for table, key in (("messages", "message_id"), ("tools", "tool_call_id"), ("turns", "prompt_id")):
            self.give_hosts(getattr(self, table), table, key)
        self.give_hosts(self.sessions.values(), "sessions", "session")
        self.give_teams(lake)

    def rows(self, name):
        return [json.loads(line) for line in (self.folder / f"{name}.ndjson").read_text().splitlines()]

    def give_hosts(self, rows, table, key):
        """Of the hosts that have all of a row as the row of all hosts has it, the first by name; else any that has most."""
        found = collections.defaultdict(list)
        for file in sorted(self.folder.glob(f"host-*.{table}.ndjson")):
            for row in self.rows(file.name.removesuffix(".ndjson")):
                found[row[key]].append(row)
        for row in rows:
            def differs(copy):
                return sum(copy[name] != row[name] for name in row if name not in ("host", "trace_id"))

            row["host"] = min(found[row[key]], key=lambda copy: (differs(copy), copy["host"]))["host"]

    def give_teams(self, lake):
        file = pathlib.Path(lake, "teams.csv")
        said = list(csv.DictReader(file.open())) if file.exists() else []
        known = {(one["host"], one["project"]): one["team"] for one in said}
        for row in [*self.messages, *self.tools, *self.turns, *self.sessions.values()]:
            host, project = row["host"], row["project"] or ""
            tried = (known.get(place) for place in ((host, project), ("", project), (host, "")) if place != ("", ""))
            row["team"] = next((team for team in tried if team), "unknown")


def money(rows, column="cost_usd"):
    return sum((decimal.Decimal(row[column]) for row in rows), decimal.Decimal(0))


def day(row, column="at"):
    return datetime.date.fromisoformat(row[column][:10])


def week(row):
    year, number, _ = day(row).isocalendar()
    return f"{year}-W{number:02}"


def groups(rows, key):
    found = collections.defaultdict(list)
    for row in rows:
        found[key(row)].append(row)
    return found


def half_up(part, whole, digits):
    """A ratio, rounded half up; None of nothing."""
    if not whole:
        return None
    exact = decimal.Decimal(part) / decimal.Decimal(whole)
    return float(exact.quantize(decimal.Decimal(1).scaleb(-digits), decimal.ROUND_HALF_UP))


def quantile(values, percent):
    """By nearest rank, in seconds of milliseconds."""
    return sorted(values)[-(-len(values) * percent // 100) - 1] / 1000


def ms(row):
    return round(row["duration_seconds"] * 1000)


def distinct(rows, column):
    return len({row[column] for row in rows})


def spent(rows, key, total=None):
    """The columns that questions about a group of responses have in common."""
    cost = money(rows)
    shown = [key, distinct(rows, "host"), distinct(rows, "session"), len(rows)]
    return shown, sum(row["output"] for row in rows), sum(row["unpriced_tokens"] for row in rows), cost


def answers(facts):
    """The rows of every question, by its number."""
    messages, total = facts.messages, money(facts.messages)
    teams, projects, weeks, agents = [], [], [], []
    for team, rows in groups(messages, lambda row: row["team"]).items():
        head, output, unpriced, cost = spent(rows, team)
        teams.append([*head, output, unpriced, cost, half_up(cost * 100, total, 1)])
    for project, rows in groups(messages, lambda row: row["project"]).items():
        head, _, unpriced, cost = spent(rows, project)
        projects.append([*head, str(min(map(day, rows))), str(max(map(day, rows))), unpriced, cost])
    so_far = decimal.Decimal(0)
    for number, rows in sorted(groups(messages, week).items()):
        head, _, unpriced, cost = spent(rows, number)
        so_far += cost
        weeks.append([*head, unpriced, cost, so_far])
    for agent, rows in groups(messages, lambda row: row["agent"]).items():
        head, output, unpriced, cost = spent(rows, agent)
        agents.append([head[0], *head[2:], output, unpriced, cost, half_up(cost * 100, total, 1)])
    return {
        "01": sorted(teams, key=lambda row: (-row[6], row[0])),
        "02": sorted(projects, key=lambda row: (-row[7], row[0] is None, row[0])),
        "03": by_model(facts), "04": weeks, "05": dearest_sessions(facts), "06": slowest_tools(facts), "07": cache(facts),
        "08": who_waits(facts), "09": sorted(agents, key=lambda row: (-row[5], row[0])), "10": hours(facts),
        "11": dearest_turns(facts), "12": adoption(facts),
    }


def by_model(facts):
    unpriced = facts.scan["unpriced_tokens"]
    rows = [
        [model, one["messages"], *(one["tokens"][kind] for kind in KINDS), unpriced.get(model, 0),
         decimal.Decimal(one["cost_usd"] or 0)]
        for model, one in facts.scan["models"].items()
    ]
    return sorted(rows, key=lambda row: (-row[8], row[0]))


def cache(facts):
    rows = []
    for model, one in facts.scan["models"].items():
        tokens = one["tokens"]
        written = tokens["cache_write_5m"] + tokens["cache_write_1h"]
        prompt, read = tokens["input"] + tokens["cache_read"] + written, tokens["cache_read"]
        rows.append([
            model, prompt, read, tokens["cache_write_5m"], tokens["cache_write_1h"], half_up(read * 100, prompt, 1),
            half_up(read, written, 2), decimal.Decimal(one["cost_usd"] or 0),
        ])
    return sorted(rows, key=lambda row: (-row[1], row[0]))


def dearest_sessions(facts):
    rows = []
    for one in facts.scan["session_list"]:
        row = facts.sessions[one["id"]]
        began = row["started_at"] and str(day(row, "started_at"))
        rows.append([
            one["id"], row["host"], row["team"], one["project"], row["title"], began, one["turns"], one["messages"],
            one["subagents"], row["unpriced_tokens"], decimal.Decimal(one["cost_usd"]),
        ])
    return sorted(rows, key=lambda row: (-row[10], row[0]))[:20]


def slowest_tools(facts):
    rows = []
    for tool, one in facts.scan["tools"].items():
        times = [ms(row) for row in facts.tools if row["tool"] == tool and row["duration_seconds"] is not None]
        of_scan = [float(one["duration_seconds"][name]) for name in ("p50", "p95", "max", "sum")] if times else [None] * 4
        rows.append([
            tool, *(one[name] for name in ("calls", "failed", "denied", "interrupted", "open")),
            half_up(one["failed"] * 100, one["calls"], 1), len(times), *of_scan,
        ])
    return sorted(rows, key=lambda row: (row[9] is None, -(row[9] or 0), row[0]))


def who_waits(facts):
    waits = collections.defaultdict(list)
    for row in facts.turns:
        if row["duration_seconds"] is not None:
            waits[row["team"], {"human": "person", "sdk": "program"}.get(row["origin"], "agent")].append(ms(row))
    for row in facts.tools:
        is_asked = (row["decision"] or "").startswith("user") or row["tool"] in ("AskUserQuestion", "ExitPlanMode")
        if is_asked and row["duration_seconds"] is not None:
            waits[row["team"], "turn"].append(ms(row))
    rows = [
        [*key, len(times), sum(times) / 1000, quantile(times, 50), quantile(times, 95), max(times) / 1000]
        for key, times in waits.items()
    ]
    return sorted(rows, key=lambda row: (-row[3], row[0], row[1]))


def hours(facts):
    def hour(row):
        return day(row).isoweekday(), int(row["at"][11:13])

    turns, messages = groups(facts.turns, hour), groups(facts.messages, hour)
    keys = sorted(turns.keys() | messages.keys())
    return [[*key, len(turns.get(key, ())), len(messages.get(key, ())), money(messages.get(key, ()))] for key in keys]


def dearest_turns(facts):
    rows = [
        [row["session"], row["turn"], row["trace_id"], row["host"], row["team"], row["project"], str(day(row)), row["origin"],
         row["messages"] + row["subagent_messages"], row["tool_calls"] + row["subagent_tool_calls"], row["subagents"],
         row["duration_seconds"], money([row]) + money([row], "subagent_cost_usd")]
        for row in facts.turns
    ]
    return sorted(rows, key=lambda row: (-row[12], row[0], row[1]))[:20]


def adoption(facts):
    seen, rows = set(), []
    asked = groups((row for row in facts.turns if row["origin"] == "human"), week)
    for number, messages in sorted(groups(facts.messages, week).items()):
        hosts = {row["host"] for row in messages}
        rows.append([
            number, len(hosts), len(hosts - seen), distinct(messages, "session"), len(asked.get(number, ())), len(messages),
            money(messages),
        ])
        seen |= hosts
    return rows


def compare(where, found, expected):
    expected = [[plain(value) for value in row] for row in expected]
    for at, (own, right) in enumerate(zip(found, expected)):
        if own != right:
            sys.exit(f"{where}, row {at}:\n  the engine says {own}\n  the facts say   {right}")
    if len(found) != len(expected):
        sys.exit(f"{where}: {len(found)} rows instead of {len(expected)}")


def ask(lake):
    engines = {"duckdb": DuckDB(lake), "clickhouse": ClickHouse(lake)}
    questions = sorted((TOP / "questions").glob("*.sql"))
    for line in sys.stdin:
        facts = Facts(line.strip(), lake)
        expected, rows = answers(facts), {}
        if len(questions) != len(expected):
            sys.exit(f"{len(questions)} questions, {len(expected)} answers")
        for question in questions:
            number, (statement,) = question.name[:2], statements(question.read_text())
            found = {name: engine.ask(statement) for name, engine in engines.items()}
            if found["duckdb"]["columns"] != found["clickhouse"]["columns"]:
                sys.exit(f"{question.name}: {found['duckdb']['columns']} and {found['clickhouse']['columns']}")
            for name, answer in found.items():
                compare(f"{question.name} in {name}", answer["rows"], expected[number])
            rows[number] = found["duckdb"]["rows"]
        kinds = ", ".join(f"sum({kind}) AS {kind}" for kind in KINDS)
        sums = [f"SELECT {count} AS messages, {kinds}, sum(cost_usd) AS cost FROM {view} AS c" for count, view in TOTALS]
        totals = [engine.ask(one)["rows"][0] for engine in engines.values() for one in sums]
        print(json.dumps({"answers": rows, "totals": totals}), flush=True)


def rows(lake):
    for engine in (DuckDB(lake), ClickHouse(lake)):
        for question in sorted((TOP / "questions").glob("*.sql")):
            engine.ask(*statements(question.read_text()))
        print(json.dumps({view: engine.ask(f"SELECT count(*) FROM {view}")["rows"][0][0] for view in VIEWS}))


def compact(lake, compacted):
    for table in ("messages", "tools", "turns", "sessions"):
        pathlib.Path(compacted, table).mkdir(parents=True, exist_ok=True)
    engine = DuckDB(lake)
    engine.connection.execute("SET VARIABLE compacted = $1", [compacted])
    engine.connection.execute((TOP / "duckdb/compact.sql").read_text())


def again(files, change):
    import pyarrow.parquet

    for file in files:
        # One file, and not the folder of partitions that it lies in.
        table = change(pyarrow.parquet.ParquetFile(file).read())
        pyarrow.parquet.write_table(table, file, compression="zstd")


if __name__ == "__main__":
    mode, places = sys.argv[1], sys.argv[2:]
    if mode == "ask":
        ask(places[0])
    elif mode == "rows":
        rows(places[0])
    elif mode == "compact":
        compact(*places)
    elif mode == "older":
        again(places, lambda table: table.drop_columns(["shares"]))
    elif mode == "newer":
        again(places, lambda table: table.append_column("unheard_of", table["session"]))
