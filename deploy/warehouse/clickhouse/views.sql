-- Views over an exported lake for ClickHouse (25.3 and newer; `clickhouse local` or a server). What they mean is in
-- deploy/warehouse/README.md; the DuckDB ones in ../duckdb/views.sql are the same, with the same names, columns and values.
--
-- The lake is the folder `lake` here. For another place replace 'lake/ in this file (nothing else has it):
--
--   sed "s#'lake/#'/data/lake/#" views.sql                                         another folder
--   sed "s#file('lake/#s3('https://bucket.s3.eu-central-1.amazonaws.com/lake/#" views.sql       an object store
--   sed "s#day=\*/#day=2026-11-*/#" views.sql                                     a part of its days
--
-- The columns are those of the newest version: what no file has yet is NULL, and a table without any file is empty.
CREATE OR REPLACE VIEW lake_sessions AS SELECT * FROM file('lake/sessions/host=*/day=*/*.parquet', 'Parquet', '
        host String, session String, title Nullable(String), project Nullable(String), cwd Nullable(String),
        branch Nullable(String), started_at Nullable(DateTime64(6, ''UTC'')),
        ended_at Nullable(DateTime64(6, ''UTC'')), turns Int64, messages Int64, tool_calls Int64, subagents Int64,
        input Int64, output Int64, cache_read Int64, cache_write_5m Int64, cache_write_1h Int64,
        cost_usd Decimal(38, 12), unpriced_tokens Int64, client_reported_usd Nullable(Decimal(38, 12)),
        unattributed_usd Nullable(Decimal(38, 12)), models String, forked_from Nullable(String), resumed Bool'
)
SETTINGS use_hive_partitioning = 0;

CREATE OR REPLACE VIEW lake_turns AS SELECT * FROM file('lake/turns/host=*/day=*/*.parquet', 'Parquet', '
        host String, session String, turn Nullable(Int64), trace_id String, prompt_id String, origin String,
        at DateTime64(6, ''UTC''), ended_at Nullable(DateTime64(6, ''UTC'')), duration_seconds Nullable(Float64),
        end Nullable(String), messages Int64, tool_calls Int64, input Int64, output Int64, cache_read Int64,
        cache_write_5m Int64, cache_write_1h Int64, cost_usd Decimal(38, 12), unpriced_tokens Int64,
        subagents Int64, subagent_messages Int64, subagent_tool_calls Int64, subagent_input Int64,
        subagent_output Int64, subagent_cache_read Int64, subagent_cache_write_5m Int64,
        subagent_cache_write_1h Int64, subagent_cost_usd Decimal(38, 12), subagent_unpriced_tokens Int64,
        project Nullable(String), branch Nullable(String), entrypoint Nullable(String), workflow Nullable(String)'
)
SETTINGS use_hive_partitioning = 0;

CREATE OR REPLACE VIEW lake_messages AS SELECT * FROM file('lake/messages/host=*/day=*/*.parquet', 'Parquet', '
        host String, session String, turn Nullable(Int64), message_id String, request_id Nullable(String),
        at DateTime64(6, ''UTC''), duration_seconds Nullable(Float64), model String, agent String,
        agent_id Nullable(String), project Nullable(String), branch Nullable(String), entrypoint Nullable(String),
        workflow Nullable(String), input Int64, output Int64, cache_read Int64, cache_write_5m Int64,
        cache_write_1h Int64, cost_usd Decimal(38, 12), unpriced_tokens Int64, stop Nullable(String),
        shares Nullable(String)'
)
SETTINGS use_hive_partitioning = 0;

CREATE OR REPLACE VIEW lake_tools AS SELECT * FROM file('lake/tools/host=*/day=*/*.parquet', 'Parquet', '
        host String, session String, turn Nullable(Int64), tool_call_id String, message_id String, tool String,
        at DateTime64(6, ''UTC''), duration_seconds Nullable(Float64), outcome Nullable(String),
        result_bytes Nullable(Int64), exit_code Nullable(Int64), decision Nullable(String),
        lines_added Nullable(Int64), lines_removed Nullable(Int64), agent String, agent_id Nullable(String),
        project Nullable(String), branch Nullable(String), entrypoint Nullable(String), workflow Nullable(String)'
)
SETTINGS use_hive_partitioning = 0;

-- Teams: what the user says in `teams.csv` in the lake (host,project,team; an empty host or project is any). The braces make
-- it a pattern, which may find nothing.
CREATE OR REPLACE VIEW teams AS
SELECT nullIf(said.host, '') AS host, nullIf(said.project, '') AS project, toNullable(min(said.team)) AS team
FROM file('lake/{teams}.csv', 'CSVWithNames', 'host Nullable(String), project Nullable(String), team String') AS said
WHERE said.team <> '' GROUP BY host, project;

-- Responses: of the copies with one id the fullest, then the earliest, then the first by session and host.
CREATE OR REPLACE VIEW messages AS
SELECT
    one.host AS host, one.session AS session, one.turn, one.message_id, one.request_id, one.duration_seconds,
    one.model, one.agent, one.agent_id, one.project AS project, one.branch, one.entrypoint, one.workflow, one.input,
    one.output, one.cache_read, one.cache_write_5m, one.cache_write_1h, one.cost_usd, one.unpriced_tokens, one.stop,
    one.shares,
    one.at AS at, toDate(one.at) AS day, formatDateTime(one.at, '%G-W%V') AS week, toDayOfWeek(one.at) AS weekday,
    toHour(one.at) AS hour, CAST(round(one.duration_seconds * 1000) AS Nullable(Int64)) AS duration_ms,
    coalesce(team_of_both.team, team_of_project.team, team_of_host.team, 'unknown') AS team
FROM (
    SELECT lake.* FROM lake_messages AS lake
    ORDER BY lake.message_id,
        lake.output DESC, lake.input + lake.cache_read + lake.cache_write_5m + lake.cache_write_1h DESC,
        lake.unpriced_tokens, lake.stop IS NULL, lake.at, lake.session, lake.host
    LIMIT 1 BY lake.message_id
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
    one.at AS at, toDate(one.at) AS day, formatDateTime(one.at, '%G-W%V') AS week, toDayOfWeek(one.at) AS weekday,
    toHour(one.at) AS hour, CAST(round(one.duration_seconds * 1000) AS Nullable(Int64)) AS duration_ms,
    coalesce(team_of_both.team, team_of_project.team, team_of_host.team, 'unknown') AS team
FROM (
    SELECT lake.* FROM lake_tools AS lake
    ORDER BY lake.tool_call_id,
        lake.outcome IS NULL, lake.duration_seconds IS NULL, lake.at, lake.session, lake.host
    LIMIT 1 BY lake.tool_call_id
) AS one
LEFT JOIN (SELECT host, project, team FROM teams WHERE host IS NOT NULL AND project IS NOT NULL) AS team_of_both
    ON team_of_both.host = one.host AND team_of_both.project = one.project
LEFT JOIN (SELECT project, team FROM teams WHERE host IS NULL) AS team_of_project ON team_of_project.project = one.project
LEFT JOIN (SELECT host, team FROM teams WHERE project IS NULL) AS team_of_host ON team_of_host.host = one.host;

-- Turns: the copy with most responses and calls; its sums are as its machine told them.
CREATE OR REPLACE VIEW turns AS
SELECT
    one.host AS host, one.session AS session, one.turn, one.trace_id, one.prompt_id, one.origin, one.ended_at,
    one.duration_seconds, one.end, one.messages, one.tool_calls, one.input, one.output, one.cache_read,
    one.cache_write_5m, one.cache_write_1h, one.cost_usd, one.unpriced_tokens, one.subagents, one.subagent_messages,
    one.subagent_tool_calls, one.subagent_input, one.subagent_output, one.subagent_cache_read,
    one.subagent_cache_write_5m, one.subagent_cache_write_1h, one.subagent_cost_usd, one.subagent_unpriced_tokens,
    one.project AS project, one.branch, one.entrypoint, one.workflow,
    one.at AS at, toDate(one.at) AS day, formatDateTime(one.at, '%G-W%V') AS week, toDayOfWeek(one.at) AS weekday,
    toHour(one.at) AS hour, CAST(round(one.duration_seconds * 1000) AS Nullable(Int64)) AS duration_ms,
    coalesce(team_of_both.team, team_of_project.team, team_of_host.team, 'unknown') AS team
FROM (
    SELECT lake.* FROM lake_turns AS lake
    ORDER BY lake.prompt_id,
        lake.messages + lake.subagent_messages + lake.tool_calls + lake.subagent_tool_calls DESC,
        lake.ended_at DESC NULLS LAST, lake.at, lake.session, lake.host
    LIMIT 1 BY lake.prompt_id
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
    one.started_at AS started_at, one.ended_at AS ended_at, toDate(one.started_at) AS day,
    coalesce(asked.turns, 0) AS turns, coalesce(used.messages, 0) AS messages, coalesce(used.input, 0) AS input,
    coalesce(used.output, 0) AS output, coalesce(used.cache_read, 0) AS cache_read,
    coalesce(used.cache_write_5m, 0) AS cache_write_5m, coalesce(used.cache_write_1h, 0) AS cache_write_1h,
    coalesce(used.cost_usd, 0) AS cost_usd, coalesce(used.unpriced_tokens, 0) AS unpriced_tokens,
    coalesce(team_of_both.team, team_of_project.team, team_of_host.team, 'unknown') AS team
FROM (
    SELECT lake.* FROM lake_sessions AS lake
    ORDER BY lake.session, lake.messages DESC, lake.ended_at DESC NULLS LAST, lake.host LIMIT 1 BY lake.session
) AS one
LEFT JOIN (
    SELECT messages.session AS session, count(*) AS messages, sum(messages.input) AS input, sum(messages.output) AS output,
        sum(messages.cache_read) AS cache_read, sum(messages.cache_write_5m) AS cache_write_5m,
        sum(messages.cache_write_1h) AS cache_write_1h, sum(messages.cost_usd) AS cost_usd,
        sum(messages.unpriced_tokens) AS unpriced_tokens
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
    one.host AS host, one.session AS session, one.message_id AS message_id, one.project AS project, one.branch AS branch,
    one.agent AS agent, one.workflow AS workflow, one.entrypoint AS entrypoint, one.at AS at, one.day AS day, one.week AS week,
    one.team AS team, share.1 AS model, place = 1 AS is_first, share.2 AS input, share.3 AS output, share.4 AS cache_read,
    share.5 AS cache_write_5m, share.6 AS cache_write_1h, toDecimal128(share.7, 12) AS cost_usd, share.8 AS unpriced_tokens
FROM (
    SELECT messages.*, if(messages.shares IS NULL,
        [(messages.model, messages.input, messages.output, messages.cache_read, messages.cache_write_5m,
          messages.cache_write_1h, toString(messages.cost_usd), messages.unpriced_tokens)],
        JSONExtract(coalesce(messages.shares, '[]'), 'Array(Tuple(model String, input Int64, output Int64, cache_read Int64,
            cache_write_5m Int64, cache_write_1h Int64, cost_usd String, unpriced_tokens Int64))')) AS list
    FROM messages
) AS one
ARRAY JOIN one.list AS share, arrayEnumerate(one.list) AS place;

-- The table `costs` made anew: its days in the lake are sums already, and in a sum copies cannot be told apart.
CREATE OR REPLACE VIEW costs AS
SELECT
    shares.host AS host, shares.day AS day, shares.session AS session, shares.project AS project, shares.branch AS branch,
    shares.model AS model, shares.agent AS agent,
    shares.workflow AS workflow,
    shares.entrypoint AS entrypoint, shares.team AS team,
    CAST(count(*) FILTER (WHERE shares.is_first) AS BIGINT) AS messages, sum(shares.input) AS input,
    sum(shares.output) AS output, sum(shares.cache_read) AS cache_read,
    sum(shares.cache_write_5m) AS cache_write_5m, sum(shares.cache_write_1h) AS cache_write_1h,
    sum(shares.cost_usd) AS cost_usd, sum(shares.unpriced_tokens) AS unpriced_tokens
FROM shares
GROUP BY shares.host, shares.day, shares.session, shares.project, shares.branch, shares.model,
    shares.agent, shares.workflow, shares.entrypoint, shares.team;
