-- What is spent in each week (ISO 8601, from Monday 00:00 UTC), and what until its end?
SELECT
    m.week AS week, count(DISTINCT m.host) AS hosts, count(DISTINCT m.session) AS sessions, count(*) AS responses,
    sum(m.unpriced_tokens) AS unpriced_tokens, sum(m.cost_usd) AS cost_usd,
    sum(sum(m.cost_usd)) OVER (ORDER BY m.week) AS cost_so_far_usd
FROM messages AS m
GROUP BY m.week
ORDER BY week;
