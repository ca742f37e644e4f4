#!/usr/bin/env python3
"""Whether a gigabyte reads back to the last digit, and how long the questions of deploy/warehouse take.

    python3 benches/gen_corpus.py --files 5000 --mb 2000 --seed 1 CORPUS
    bash tests/support/api_tools.sh
    target/api-tools/venv/bin/python benches/warehouse.py target/release/tailspan CORPUS/.claude/projects FOLDER [HOSTS]

Three parts. One: the session files as a lake and as single files of each table, read by DuckDB and by ClickHouse, whose sums must be
those of `scan`. Two: what a user and a day take in the lake. Three, with HOSTS: the lake of so many users, each with rows of
their own (with other ids, or they would be copies and count once): the sums, which must be HOSTS times those of `scan`, a
question, and all questions once it is compacted. FOLDER is made, and may be used again.
"""

import concurrent.futures
import decimal
import hashlib
import json
import os
import pathlib
import resource
import subprocess
import sys
import time
import typing

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests/support"))
import warehouse  # noqa: E402

TABLES = ["sessions", "turns", "messages", "tools", "costs"]
IDS = {"session", "message_id", "tool_call_id", "prompt_id", "request_id", "trace_id", "agent_id", "forked_from"}
SUMS = ", ".join(f"sum({kind}) AS {kind}" for kind in [*warehouse.KINDS, "cost_usd", "unpriced_tokens"])


def tailspan(program, *arguments):
    return subprocess.run([program, *arguments], check=True, capture_output=True, text=True).stdout


def size(folder):
    return sum(file.stat().st_size for file in pathlib.Path(folder).rglob("*.parquet"))


def expected(scan, times=1):
    unpriced = sum(scan["unpriced_tokens"].values())
    cost = warehouse.plain(decimal.Decimal(scan["cost_usd"]) * times)
    return [scan["tokens"][kind] * times for kind in warehouse.KINDS] + [cost, unpriced * times]


def check(what, found, right):
    if found != right:
        sys.exit(f"{what}: {found} instead of {right}")
    print(f"{what}: {found[5]} USD, all sums as scan has them")


def cpu():
    each = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(used.ru_utime + used.ru_stime for used in each)


def timed(make):
    """What is made, and how long it took by the clock and on all CPUs."""
    begun, used = time.monotonic(), cpu()
    made = make()
    return made, Took(time.monotonic() - begun, cpu() - used)


class Took(typing.NamedTuple):
    clock: float
    cpu: float

    def __str__(self):
        return f"{self.clock:.1f} s ({self.cpu:.1f} CPU s)"


def single_files(program, projects, folder, scan):
    """One file of each table."""
    for table in TABLES:
        file = folder / f"{table}.parquet"
        _, took = timed(lambda: tailspan(program, "export", table, "--scan", "--projects", projects, "--output", str(file)))
        print(f"{table}.parquet: {file.stat().st_size / 1e6:.1f} MB in {took}")
    import chdb
    import duckdb

    for table in ("messages", "costs"):
        file = folder / f"{table}.parquet"
        row = duckdb.sql(f"SELECT {SUMS} FROM read_parquet('{file}')").fetchall()[0]
        check(f"{file.name} in DuckDB", [warehouse.plain(value) for value in row], expected(scan))
        form = "FORMAT JSONCompact SETTINGS output_format_json_quote_decimals = 1, output_format_json_quote_64bit_integers = 0"
        row = json.loads(str(chdb.query(f"SELECT {SUMS} FROM file('{file}') {form}")))["data"][0]
        row[5] = warehouse.plain(decimal.Decimal(row[5]))
        check(f"{file.name} in ClickHouse", row, expected(scan))


def id_of(host, text):
    """Another id of the same length, as little like the others as ids are."""
    return text and hashlib.blake2b(f"{host} {text}".encode()).hexdigest()[: len(text)]


def copy_of(file, source, target, host):
    """A file of another user: all ids are their own."""
    import pyarrow
    import pyarrow.parquet

    table = pyarrow.parquet.ParquetFile(file).read()
    for at, name in enumerate(table.schema.names):
        field, known = table.schema.field(at), {}
        if name == "host":
            table = table.set_column(at, field, pyarrow.array([host] * table.num_rows))
        elif name in IDS:
            texts = table[name].to_pylist()
            for text in texts:
                if text not in known:
                    known[text] = id_of(host, text)
            table = table.set_column(at, field, pyarrow.array([known[text] for text in texts], field.type))
    place = pathlib.Path(str(target / file.relative_to(source)).replace("host=first", f"host={host}"))
    place.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(table, place, compression="zstd", row_group_size=100_000)


def copy_host(host, one, many):
    for table in TABLES:
        for file in sorted((one / table).rglob("*.parquet")):
            copy_of(file, one, many, host)


def many_hosts(one, many, hosts):
    """The lake of as many users; those who are there already stay."""
    names = [f"u{number:06}" for number in range(hosts)]
    missing = [host for host in names if not (many / f"costs/host={host}").exists()]
    with concurrent.futures.ProcessPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(copy_host, missing, [one] * len(missing), [many] * len(missing)))


def ask(lake, scan, hosts, numbers=""):
    """The sums of a lake, and all questions or some, in both engines."""
    engines = {"DuckDB": warehouse.DuckDB(str(lake)), "ClickHouse": warehouse.ClickHouse(str(lake))}
    for view in ("messages", "costs"):
        for name, engine in engines.items():
            found, took = timed(lambda: engine.ask(f"SELECT {SUMS} FROM {view} AS rows"))
            check(f"view {view} in {name}, {took}", found["rows"][0], expected(scan, hosts))
    for question in sorted((warehouse.TOP / "questions").glob(f"{numbers}*.sql")):
        (statement,) = warehouse.statements(question.read_text())
        told, answers = [], []
        for name, engine in engines.items():
            answer, took = timed(lambda: engine.ask(statement))
            told.append(f"{name} {took}")
            answers.append(answer)
        if answers[0] != answers[1]:
            sys.exit(f"{question.name}: the engines differ")
        print(f"{question.stem:26} {len(answers[0]['rows']):5} rows  {'  '.join(told)}")
    print(f"most memory of both together: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


def main(program, projects, folder, hosts="0"):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    scan = json.loads(tailspan(program, "scan", "--format", "json", projects))
    print(f"session files: {scan['files']['bytes'] / 1e9:.2f} GB, {scan['messages']} responses, {scan['cost_usd']} USD")
    lake = folder / "one"
    export = ["export", "--all", "--format", "parquet", "--partition", "day", "--host", "first", "--output", str(lake)]
    _, took = timed(lambda: tailspan(program, *export, "--scan", "--projects", projects))
    days = {file.parent.name for file in lake.rglob("*.parquet")}
    files = len(list(lake.rglob("*.parquet")))
    print(f"lake: {size(lake) / 1e6:.1f} MB, {files} files, {len(days)} days in {took}")
    for table in TABLES:
        print(f"  {table}: {size(lake / table) / len(days):.0f} bytes a day")
    single_files(program, projects, folder, scan)
    ask(lake, scan, 1)
    if int(hosts):
        many = folder / "many"
        _, took = timed(lambda: many_hosts(lake, many, int(hosts)))
        print(f"lake of {hosts} hosts: {size(many) / 1e9:.2f} GB, {len(list(many.rglob('*.parquet')))} files, made in {took}")
        ask(many, scan, int(hosts), "01")
        _, took = timed(lambda: warehouse.compact(str(many), str(folder / "compacted")))
        files = len(list((folder / "compacted").rglob("*.parquet")))
        print(f"compacted: {size(folder / 'compacted') / 1e9:.2f} GB, {files} files, made in {took}")
        ask(folder / "compacted", scan, int(hosts))


if __name__ == "__main__":
    main(*sys.argv[1:])
