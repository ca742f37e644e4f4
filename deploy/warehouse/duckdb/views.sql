-- Views over an exported lake for DuckDB (1.4 and newer). What they mean is in deploy/warehouse/README.md; the ClickHouse ones
-- in ../clickhouse/views.sql are the same, with the same names, columns and values.
--
--   duckdb -init deploy/warehouse/duckdb/views.sql
--
-- reads the folder `lake` here. Another place, or a part of its days as a pattern, is said before:
--
--   duckdb -cmd "SET VARIABLE lake = 's3://bucket/lake'; SET VARIABLE days = '2026-11-*'" \
--     -cmd ".read deploy/warehouse/duckdb/views.sql"
SET VARIABLE lake = coalesce(getvariable('lake'), 'lake');
SET VARIABLE days = coalesce(getvariable('days'), '*');

-- What the tables of the newest version look like: columns that no file has yet are NULL, and a table without any file is
-- empty.
CREATE OR REPLACE TABLE sessions_columns (
    host VARCHAR, session VARCHAR, title VARCHAR, project VARCHAR, cwd VARCHAR, branch VARCHAR,
    started_at TIMESTAMPTZ, ended_at TIMESTAMPTZ, turns BIGINT, messages BIGINT, tool_calls BIGINT,
    subagents BIGINT, input BIGINT, output BIGINT, cache_read BIGINT, cache_write_5m BIGINT, cache_write_1h BIGINT,
    cost_usd DECIMAL(38,12), unpriced_tokens BIGINT, client_reported_usd DECIMAL(38,12),
    unattributed_usd DECIMAL(38,12), models VARCHAR, forked_from VARCHAR, resumed BOOLEAN
);
SET VARIABLE sessions_rows = 'SELECT * FROM sessions_columns';
CREATE OR REPLACE VIEW lake_sessions AS
SELECT
    host, session, title, project, cwd, branch, started_at, ended_at, turns, messages, tool_calls, subagents, input,
    output, cache_read, cache_write_5m, cache_write_1h, cost_usd, unpriced_tokens, client_reported_usd,
    unattributed_usd, models, forked_from, resumed
FROM (SELECT * FROM sessions_columns UNION ALL BY NAME SELECT * FROM query(getvariable('sessions_rows')));

CREATE OR REPLACE TABLE turns_columns (
    host VARCHAR, session VARCHAR, turn BIGINT, trace_id VARCHAR, prompt_id VARCHAR, origin VARCHAR,
    "at" TIMESTAMPTZ, ended_at TIMESTAMPTZ, duration_seconds DOUBLE, "end" VARCHAR, messages BIGINT,
    tool_calls BIGINT, input BIGINT, output BIGINT, cache_read BIGINT, cache_write_5m BIGINT, cache_write_1h BIGINT,
    cost_usd DECIMAL(38,12), unpriced_tokens BIGINT, subagents BIGINT, subagent_messages BIGINT,
    subagent_tool_calls BIGINT, subagent_input BIGINT, subagent_output BIGINT, subagent_cache_read BIGINT,
    subagent_cache_write_5m BIGINT, subagent_cache_write_1h BIGINT, subagent_cost_usd DECIMAL(38,12),
    subagent_unpriced_tokens BIGINT, project VARCHAR, branch VARCHAR, entrypoint VARCHAR, workflow VARCHAR
);
SET VARIABLE turns_rows = 'SELECT * FROM turns_columns';
CREATE OR REPLACE VIEW lake_turns AS
SELECT
    host, session, turn, trace_id, prompt_id, origin, "at", ended_at, duration_seconds, "end", messages, tool_calls,
    input, output, cache_read, cache_write_5m, cache_write_1h, cost_usd, unpriced_tokens, subagents,
    subagent_messages, subagent_tool_calls, subagent_input, subagent_output, subagent_cache_read,
    subagent_cache_write_5m, subagent_cache_write_1h, subagent_cost_usd, subagent_unpriced_tokens, project, branch,
    entrypoint, workflow
FROM (SELECT * FROM turns_columns UNION ALL BY NAME SELECT * FROM query(getvariable('turns_rows')));

CREATE OR REPLACE TABLE messages_columns (
    host VARCHAR, session VARCHAR, turn BIGINT, message_id VARCHAR, request_id VARCHAR, "at" TIMESTAMPTZ,
    duration_seconds DOUBLE, model VARCHAR, agent VARCHAR, agent_id VARCHAR, project VARCHAR, branch VARCHAR,
    entrypoint VARCHAR, workflow VARCHAR, input BIGINT, output BIGINT, cache_read BIGINT, cache_write_5m BIGINT,
    cache_write_1h BIGINT, cost_usd DECIMAL(38,12), unpriced_tokens BIGINT, stop VARCHAR, shares VARCHAR
);
SET VARIABLE messages_rows = 'SELECT * FROM messages_columns';
CREATE OR REPLACE VIEW lake_messages AS
SELECT
    host, session, turn, message_id, request_id, "at", duration_seconds, model, agent, agent_id, project, branch,
    entrypoint, workflow, input, output, cache_read, cache_write_5m, cache_write_1h, cost_usd, unpriced_tokens,
    stop, shares
FROM (SELECT * FROM messages_columns UNION ALL BY NAME SELECT * FROM query(getvariable('messages_rows')));

CREATE OR REPLACE TABLE tools_columns (
    host VARCHAR, session VARCHAR, turn BIGINT, tool_call_id VARCHAR, message_id VARCHAR, tool VARCHAR,
    "at" TIMESTAMPTZ, duration_seconds DOUBLE, outcome VARCHAR, result_bytes BIGINT, exit_code BIGINT,
    decision VARCHAR, lines_added BIGINT, lines_removed BIGINT, agent VARCHAR, agent_id VARCHAR, project VARCHAR,
    branch VARCHAR, entrypoint VARCHAR, workflow VARCHAR
);
SET VARIABLE tools_rows = 'SELECT * FROM tools_columns';
CREATE OR REPLACE VIEW lake_tools AS
SELECT
    host, session, turn, tool_call_id, message_id, tool, "at", duration_seconds, outcome, result_bytes, exit_code,
    decision, lines_added, lines_removed, agent, agent_id, project, branch, entrypoint, workflow
FROM (SELECT * FROM tools_columns UNION ALL BY NAME SELECT * FROM query(getvariable('tools_rows')));

-- Teams: what the user says in `teams.csv` in the lake (host,project,team; an empty host or project is any).
CREATE OR REPLACE TABLE teams_columns (host VARCHAR, project VARCHAR, team VARCHAR);
SET VARIABLE teams_rows = 'SELECT * FROM teams_columns';
CREATE OR REPLACE VIEW teams AS
SELECT nullif(host, '') AS host, nullif(project, '') AS project, min(team) AS team
FROM query(getvariable('teams_rows')) WHERE coalesce(team, '') <> '' GROUP BY ALL;

-- Responses: of the copies with one id the fullest, then the earliest, then the first by session and host.
CREATE OR REPLACE VIEW messages AS
SELECT
    one.host AS host, one.session AS session, one.turn, one.message_id, one.request_id, one.duration_seconds,
    one.model, one.agent, one.agent_id, one.project AS project, one.branch, one.entrypoint, one.workflow, one.input,
    one.output, one.cache_read, one.cache_write_5m, one.cache_write_1h, one.cost_usd, one.unpriced_tokens, one.stop,
    one.shares,
    make_timestamp(epoch_us(one.at)) AS "at", CAST(make_timestamp(epoch_us(one.at)) AS DATE) AS day,
    strftime(make_timestamp(epoch_us(one.at)), '%G-W%V') AS week, isodow(make_timestamp(epoch_us(one.at))) AS weekday,
    hour(make_timestamp(epoch_us(one.at))) AS hour, CAST(round(one.duration_seconds * 1000) AS BIGINT) AS duration_ms,
    coalesce(team_of_both.team, team_of_project.team, team_of_host.team, 'unknown') AS team
FROM (
    SELECT lake.* FROM lake_messages AS lake
    QUALIFY row_number() OVER (PARTITION BY lake.message_id ORDER BY
        lake.output DESC, lake.input + lake.cache_read + lake.cache_write_5m + lake.cache_write_1h DESC,
        lake.unpriced_tokens, lake.stop IS NULL, lake.at, lake.session, lake.host) = 1
) AS one
LEFT JOIN (SELECT host, project, team FROM teams WHERE host IS NOT NULL AND project IS NOT NULL) AS team_of_both
    ON team_of_both.host = one.host AND team_of_both.project = one.project
LEFT JOIN (SELECT project, team FROM teams WHERE host IS NULL) AS team_of_project ON team_of_project.project = one.project
LEFT JOIN (SELECT host, team FROM teams WHERE project IS NULL) AS team_of_host ON team_of_host.host = one.host;

-- Tool calls: a copy that has the result goes before one that has not.
CREATE OR REPLACE VIEW tools AS
SELECT
    one.host AS host, one.session AS session, one.turn, one.tool_call_id, one.message_id, one.tool,
    one.duration_seconds, one.outcome, one.result_bytes, one.exit_code, one.decision, one.lines_added,
    one.lines_removed, one.agent, one.agent_id, one.project AS project, one.branch, one.entrypoint, one.workflow,
    make_timestamp(epoch_us(one.at)) AS "at", CAST(make_timestamp(epoch_us(one.at)) AS DATE) AS day,
    strftime(make_timestamp(epoch_us(one.at)), '%G-W%V') AS week, isodow(make_timestamp(epoch_us(one.at))) AS weekday,
    hour(make_timestamp(epoch_us(one.at))) AS hour, CAST(round(one.duration_seconds * 1000) AS BIGINT) AS duration_ms,
    coalesce(team_of_both.team, team_of_project.team, team_of_host.team, 'unknown') AS team
FROM (
    SELECT lake.* FROM lake_tools AS lake
    QUALIFY row_number() OVER (PARTITION BY lake.tool_call_id ORDER BY
        lake.outcome IS NULL, lake.duration_seconds IS NULL, lake.at, lake.session, lake.host) = 1
) AS one
LEFT JOIN (SELECT host, project, team FROM teams WHERE host IS NOT NULL AND project IS NOT NULL) AS team_of_both
    ON team_of_both.host = one.host AND team_of_both.project = one.project
LEFT JOIN (SELECT project, team FROM teams WHERE host IS NULL) AS team_of_project ON team_of_project.project = one.project
LEFT JOIN (SELECT host, team FROM teams WHERE project IS NULL) AS team_of_host ON team_of_host.host = one.host;

-- Turns: the copy with most responses and calls; its sums are as its machine told them.
CREATE OR REPLACE VIEW turns AS
SELECT
    one.host AS host, one.session AS session, one.turn, one.trace_id, one.prompt_id, one.origin,
    one.duration_seconds, one.end, one.messages, one.tool_calls, one.input, one.output, one.cache_read,
    one.cache_write_5m, one.cache_write_1h, one.cost_usd, one.unpriced_tokens, one.subagents, one.subagent_messages,
    one.subagent_tool_calls, one.subagent_input, one.subagent_output, one.subagent_cache_read,
    one.subagent_cache_write_5m, one.subagent_cache_write_1h, one.subagent_cost_usd, one.subagent_unpriced_tokens,
    one.project AS project, one.branch, one.entrypoint, one.workflow,
    make_timestamp(epoch_us(one.at)) AS "at", CAST(make_timestamp(epoch_us(one.at)) AS DATE) AS day,
    strftime(make_timestamp(epoch_us(one.at)), '%G-W%V') AS week, isodow(make_timestamp(epoch_us(one.at))) AS weekday,
    hour(make_timestamp(epoch_us(one.at))) AS hour, CAST(round(one.duration_seconds * 1000) AS BIGINT) AS duration_ms,
    make_timestamp(epoch_us(one.ended_at)) AS ended_at,
    coalesce(team_of_both.team, team_of_project.team, team_of_host.team, 'unknown') AS team
FROM (
    SELECT lake.* FROM lake_turns AS lake
    QUALIFY row_number() OVER (PARTITION BY lake.prompt_id ORDER BY
        lake.messages + lake.subagent_messages + lake.tool_calls + lake.subagent_tool_calls DESC,
        lake.ended_at DESC NULLS LAST, lake.at, lake.session, lake.host) = 1
) AS one
LEFT JOIN (SELECT host, project, team FROM teams WHERE host IS NOT NULL AND project IS NOT NULL) AS team_of_both
    ON team_of_both.host = one.host AND team_of_both.project = one.project
LEFT JOIN (SELECT project, team FROM teams WHERE host IS NULL) AS team_of_project ON team_of_project.project = one.project
LEFT JOIN (SELECT host, team FROM teams WHERE project IS NULL) AS team_of_host ON team_of_host.host = one.host;

-- Sessions: the copy with most responses. Turns, responses and what they used are added up of those above, so that they add up
-- over sessions; calls, sub-agents and what the client reports are as its machine told them.
CREATE OR REPLACE VIEW sessions AS
SELECT
    one.host AS host, one.session AS session, one.title, one.project AS project, one.cwd, one.branch,
    one.tool_calls, one.subagents, one.client_reported_usd, one.unattributed_usd, one.models, one.forked_from,
    one.resumed,
    make_timestamp(epoch_us(one.started_at)) AS started_at, make_timestamp(epoch_us(one.ended_at)) AS ended_at,
    CAST(make_timestamp(epoch_us(one.started_at)) AS DATE) AS day,
    coalesce(asked.turns, 0) AS turns, coalesce(used.messages, 0) AS messages, coalesce(used.input, 0) AS input,
    coalesce(used.output, 0) AS output, coalesce(used.cache_read, 0) AS cache_read,
    coalesce(used.cache_write_5m, 0) AS cache_write_5m, coalesce(used.cache_write_1h, 0) AS cache_write_1h,
    coalesce(used.cost_usd, 0) AS cost_usd, coalesce(used.unpriced_tokens, 0) AS unpriced_tokens,
    coalesce(team_of_both.team, team_of_project.team, team_of_host.team, 'unknown') AS team
FROM (
    SELECT lake.* FROM lake_sessions AS lake
    QUALIFY row_number() OVER (PARTITION BY lake.session ORDER BY
        lake.messages DESC, lake.ended_at DESC NULLS LAST, lake.host) = 1
) AS one
LEFT JOIN (
    SELECT messages.session AS session, count(*) AS messages, CAST(sum(messages.input) AS BIGINT) AS input,
    CAST(sum(messages.output) AS BIGINT) AS output,
        CAST(sum(messages.cache_read) AS BIGINT) AS cache_read, CAST(sum(messages.cache_write_5m) AS BIGINT) AS cache_write_5m,
        CAST(sum(messages.cache_write_1h) AS BIGINT) AS cache_write_1h, sum(messages.cost_usd) AS cost_usd,
        CAST(sum(messages.unpriced_tokens) AS BIGINT) AS unpriced_tokens
    FROM messages GROUP BY messages.session
) AS used ON used.session = one.session
LEFT JOIN (SELECT turns.session AS session, count(*) AS turns FROM turns GROUP BY turns.session) AS asked
    ON asked.session = one.session
LEFT JOIN (SELECT host, project, team FROM teams WHERE host IS NOT NULL AND project IS NOT NULL) AS team_of_both
    ON team_of_both.host = one.host AND team_of_both.project = one.project
LEFT JOIN (SELECT project, team FROM teams WHERE host IS NULL) AS team_of_project ON team_of_project.project = one.project
LEFT JOIN (SELECT host, team FROM teams WHERE project IS NULL) AS team_of_host ON team_of_host.host = one.host;

-- What each model used of a response: a row, or one for each model where several answered.
CREATE OR REPLACE VIEW shares AS
SELECT
    one.host, one.session, one.message_id, one.project, one.branch, one.agent, one.workflow, one.entrypoint, one.at, one.day,
    one.week, one.team, one.share.model AS model, one.share.is_first AS is_first, one.share.input AS input,
    one.share.output AS output, one.share.cache_read AS cache_read, one.share.cache_write_5m AS cache_write_5m,
    one.share.cache_write_1h AS cache_write_1h, one.share.cost_usd AS cost_usd, one.share.unpriced_tokens AS unpriced_tokens
FROM (
    SELECT messages.*, unnest(CASE WHEN messages.shares IS NULL
        THEN [{'model': messages.model, 'input': messages.input, 'output': messages.output, 'cache_read': messages.cache_read,
               'cache_write_5m': messages.cache_write_5m, 'cache_write_1h': messages.cache_write_1h,
               'cost_usd': messages.cost_usd, 'unpriced_tokens': messages.unpriced_tokens, 'is_first': true}]
        ELSE list_transform(
            from_json(messages.shares, '[{"model": "VARCHAR", "input": "BIGINT", "output": "BIGINT", "cache_read": "BIGINT",
                "cache_write_5m": "BIGINT", "cache_write_1h": "BIGINT", "cost_usd": "VARCHAR", "unpriced_tokens": "BIGINT"}]'),
            lambda share, place: {'model': share.model, 'input': share.input, 'output': share.output,
                'cache_read': share.cache_read, 'cache_write_5m': share.cache_write_5m,
                'cache_write_1h': share.cache_write_1h, 'cost_usd': CAST(share.cost_usd AS DECIMAL(38,12)),
                'unpriced_tokens': share.unpriced_tokens, 'is_first': place = 1})
        END) AS share
    FROM messages
) AS one;

-- The table `costs` made anew: its days in the lake are sums already, and in a sum copies cannot be told apart.
CREATE OR REPLACE VIEW costs AS
SELECT
    shares.host, shares.day, shares.session, shares.project, shares.branch, shares.model, shares.agent, shares.workflow,
    shares.entrypoint, shares.team,
    CAST(count(*) FILTER (WHERE shares.is_first) AS BIGINT) AS messages, CAST(sum(shares.input) AS BIGINT) AS input,
    CAST(sum(shares.output) AS BIGINT) AS output, CAST(sum(shares.cache_read) AS BIGINT) AS cache_read,
    CAST(sum(shares.cache_write_5m) AS BIGINT) AS cache_write_5m, CAST(sum(shares.cache_write_1h) AS BIGINT) AS cache_write_1h,
    sum(shares.cost_usd) AS cost_usd, CAST(sum(shares.unpriced_tokens) AS BIGINT) AS unpriced_tokens
FROM shares
GROUP BY shares.host, shares.day, shares.session, shares.project, shares.branch, shares.model,
    shares.agent, shares.workflow, shares.entrypoint, shares.team;

-- Where the rows are, at the end, or making each view would open every file. A glob that finds nothing would be an error, so it
-- is looked whether there is a file; a table that had none until now is seen when these views are read again. New files, days
-- and hosts of a table that has some are seen at once.
SET VARIABLE sessions_path = getvariable('lake') || '/sessions/host=*/day=' || getvariable('days') || '/*.parquet';
SET VARIABLE sessions_rows = CASE
    WHEN EXISTS (SELECT 1 FROM glob(getvariable('sessions_path')))
    THEN 'SELECT * FROM read_parquet(getvariable(''sessions_path''), hive_partitioning = false, union_by_name = true)'
    ELSE getvariable('sessions_rows')
END;

SET VARIABLE turns_path = getvariable('lake') || '/turns/host=*/day=' || getvariable('days') || '/*.parquet';
SET VARIABLE turns_rows = CASE
    WHEN EXISTS (SELECT 1 FROM glob(getvariable('turns_path')))
    THEN 'SELECT * FROM read_parquet(getvariable(''turns_path''), hive_partitioning = false, union_by_name = true)'
    ELSE getvariable('turns_rows')
END;

SET VARIABLE messages_path = getvariable('lake') || '/messages/host=*/day=' || getvariable('days') || '/*.parquet';
SET VARIABLE messages_rows = CASE
    WHEN EXISTS (SELECT 1 FROM glob(getvariable('messages_path')))
    THEN 'SELECT * FROM read_parquet(getvariable(''messages_path''), hive_partitioning = false, union_by_name = true)'
    ELSE getvariable('messages_rows')
END;

SET VARIABLE tools_path = getvariable('lake') || '/tools/host=*/day=' || getvariable('days') || '/*.parquet';
SET VARIABLE tools_rows = CASE
    WHEN EXISTS (SELECT 1 FROM glob(getvariable('tools_path')))
    THEN 'SELECT * FROM read_parquet(getvariable(''tools_path''), hive_partitioning = false, union_by_name = true)'
    ELSE getvariable('tools_rows')
END;

SET VARIABLE teams_rows = CASE
    WHEN EXISTS (SELECT 1 FROM glob(getvariable('lake') || '/teams.csv'))
    THEN 'SELECT * FROM read_csv(getvariable(''lake'') || ''/teams.csv'', header = true, delim = '','', quote = ''"'',
          columns = {''host'': ''VARCHAR'', ''project'': ''VARCHAR'', ''team'': ''VARCHAR''})'
    ELSE getvariable('teams_rows')
END;
