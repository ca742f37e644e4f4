-- Writes a lake again with one file for each table and day instead of one for each host as well, so that a question opens few
-- files: a lake of its own, in the folder `compacted` or what `SET VARIABLE compacted` says, which the views read like any
-- other. Every row is kept, copies too. It takes the days of the variable `days`; a day that is written again replaces its file.
--
--   mkdir -p compacted/messages compacted/tools compacted/turns compacted/sessions
--   duckdb -init deploy/warehouse/duckdb/views.sql -c ".read deploy/warehouse/duckdb/compact.sql"
SET VARIABLE compacted = coalesce(getvariable('compacted'), 'compacted');

COPY (SELECT *, CAST(make_timestamp(epoch_us("at")) AS DATE) AS day FROM lake_messages)
TO (getvariable('compacted') || '/messages/host=all')
(FORMAT parquet, COMPRESSION zstd, PARTITION_BY (day), OVERWRITE_OR_IGNORE, FILENAME_PATTERN 'part-{i}');

COPY (SELECT *, CAST(make_timestamp(epoch_us("at")) AS DATE) AS day FROM lake_tools)
TO (getvariable('compacted') || '/tools/host=all')
(FORMAT parquet, COMPRESSION zstd, PARTITION_BY (day), OVERWRITE_OR_IGNORE, FILENAME_PATTERN 'part-{i}');

COPY (SELECT *, CAST(make_timestamp(epoch_us("at")) AS DATE) AS day FROM lake_turns)
TO (getvariable('compacted') || '/turns/host=all')
(FORMAT parquet, COMPRESSION zstd, PARTITION_BY (day), OVERWRITE_OR_IGNORE, FILENAME_PATTERN 'part-{i}');

COPY (SELECT *, CAST(make_timestamp(epoch_us(coalesce(started_at, ended_at))) AS DATE) AS day FROM lake_sessions)
TO (getvariable('compacted') || '/sessions/host=all')
(FORMAT parquet, COMPRESSION zstd, PARTITION_BY (day), OVERWRITE_OR_IGNORE, FILENAME_PATTERN 'part-{i}');
