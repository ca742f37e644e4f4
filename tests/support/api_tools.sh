#!/usr/bin/env bash
# Installs what tests/behaviour/openapi.rs asks the API with, and export_files.rs and warehouse.rs read Parquet with, into target/api-tools.
# Without it those tests are skipped, except where CI=true.
set -eu
cd "$(dirname "$0")/../.."
tools=target/api-tools
mkdir -p "$tools"
python3 -m venv "$tools/venv"
# schemathesis asks every route with right and wrong parameters, as the description has them; the other one judges the
# description itself. DuckDB, pyarrow and ClickHouse (chdb) read exported Parquet.
"$tools/venv/bin/pip" install --quiet schemathesis==4.32.5 openapi-spec-validator==0.9.0 duckdb==2.0.1 pyarrow==26.0.1 chdb==4.4.0
