"""Reads exported Parquet with DuckDB and pyarrow, and prints what each of them finds as JSON.

    read_tables.py FILE          types, number of rows, row groups, sums of every column of numbers, and all rows as text
    read_tables.py --lake DIR    for each table of a folder of partitions: number of rows, hosts, days, sums
"""

import decimal
import json
import pathlib
import sys

import duckdb
import pyarrow.compute
import pyarrow.dataset
import pyarrow.parquet


def plain(number):
    """A sum as the shortest exact decimal."""
    if number is None:
        return "0"
    if isinstance(number, decimal.Decimal):
        text = format(number, "f")
        return text.rstrip("0").rstrip(".") if "." in text else text
    return str(number)


def told(value):
    """A value as text; a decimal with all of its places."""
    if value is None:
        return None
    return format(value, "f") if isinstance(value, decimal.Decimal) else str(value)


def by_duckdb(source):
    table = duckdb.sql(f"SELECT * FROM {source}")
    types = dict(zip(table.columns, (str(kind) for kind in table.types)))
    sums = {}
    for name, kind in types.items():
        if kind == "BIGINT" or kind.startswith("DECIMAL"):
            sums[name] = plain(duckdb.sql(f'SELECT sum("{name}") FROM {source}').fetchall()[0][0])
    return {"types": types, "rows": duckdb.sql(f"SELECT count(*) FROM {source}").fetchall()[0][0], "sums": sums}


def by_pyarrow(table):
    sums = {}
    for field in table.schema:
        if pyarrow.types.is_int64(field.type) or pyarrow.types.is_decimal(field.type):
            sums[field.name] = plain(pyarrow.compute.sum(table[field.name]).as_py())
    types = {field.name: str(field.type) for field in table.schema}
    return {"types": types, "rows": table.num_rows, "sums": sums}


def file(path):
    table = pyarrow.parquet.read_table(path)
    whole = pyarrow.parquet.ParquetFile(path)
    said = {key.decode(): value.decode() for key, value in (whole.metadata.metadata or {}).items()}
    codecs = set()
    for group in range(whole.metadata.num_row_groups):
        for column in range(whole.metadata.num_columns):
            codecs.add(whole.metadata.row_group(group).column(column).compression)
    rows = [{name: told(value) for name, value in row.items()} for row in table.to_pylist()]
    return {
        "duckdb": by_duckdb(f"read_parquet('{path}')"),
        "pyarrow": by_pyarrow(table),
        "metadata": said,
        "codecs": sorted(codecs),
        "groups": [whole.metadata.row_group(at).num_rows for at in range(whole.metadata.num_row_groups)],
        "rows": rows,
    }


def lake(folder):
    found = {}
    for table in sorted(path for path in pathlib.Path(folder).iterdir() if not path.name.startswith("_")):
        source = f"read_parquet('{table}/**/*.parquet', hive_partitioning = true)"
        hosts = [row[0] for row in duckdb.sql(f"SELECT DISTINCT host FROM {source} ORDER BY 1").fetchall()]
        days = [str(row[0]) for row in duckdb.sql(f"SELECT DISTINCT day FROM {source} ORDER BY 1").fetchall()]
        whole = pyarrow.dataset.dataset(table, format="parquet", exclude_invalid_files=True).to_table()
        found[table.name] = {
            "duckdb": by_duckdb(source), "pyarrow": by_pyarrow(whole), "hosts": hosts, "days": days,
        }
    return found


if sys.argv[1] == "--lake":
    print(json.dumps(lake(sys.argv[2])))
else:
    print(json.dumps(file(sys.argv[1])))
