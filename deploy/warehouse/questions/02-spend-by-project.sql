-- What does each project cost, and since when and until when was it worked on? No project: the rows name no folder.
SELECT
    m.project AS project, count(DISTINCT m.host) AS hosts, count(DISTINCT m.session) AS sessions, count(*) AS responses,
    min(m.day) AS first_day, max(m.day) AS last_day, sum(m.unpriced_tokens) AS unpriced_tokens, sum(m.cost_usd) AS cost_usd
FROM messages AS m
GROUP BY m.project
ORDER BY cost_usd DESC, project NULLS LAST;
