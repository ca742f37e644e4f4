-- Which twenty sessions cost most? `tailspan` on that host shows each of them at /sessions/ID.
SELECT
    s.session AS session, s.host AS host, s.team AS team, s.project AS project, s.title AS title, s.day AS day,
    s.turns AS turns, s.messages AS responses, s.subagents AS subagents, s.unpriced_tokens AS unpriced_tokens,
    s.cost_usd AS cost_usd
FROM sessions AS s
ORDER BY cost_usd DESC, session
LIMIT 20;
