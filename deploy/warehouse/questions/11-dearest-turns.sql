-- Which twenty turns cost most, with their sub-agents? The trace is that of the spans that tailspan sends.
SELECT
    t.session AS session, t.turn AS turn, t.trace_id AS trace_id, t.host AS host, t.team AS team, t.project AS project,
    t.day AS day, t.origin AS origin, t.messages + t.subagent_messages AS responses,
    t.tool_calls + t.subagent_tool_calls AS tool_calls, t.subagents AS subagents,
    t.duration_seconds AS seconds, t.cost_usd + t.subagent_cost_usd AS cost_with_subagents_usd
FROM turns AS t
ORDER BY cost_with_subagents_usd DESC, session, turn
LIMIT 20;
