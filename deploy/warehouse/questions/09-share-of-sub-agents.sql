-- What do sub-agents cost beside the main thread, by their type?
SELECT
    m.agent AS agent, count(DISTINCT m.session) AS sessions, count(*) AS responses, sum(m.output) AS output_tokens,
    sum(m.unpriced_tokens) AS unpriced_tokens, sum(m.cost_usd) AS cost_usd,
    floor(1000 * CAST(sum(m.cost_usd) AS DOUBLE) / nullif(CAST(sum(sum(m.cost_usd)) OVER () AS DOUBLE), 0) + 0.5) / 10
        AS percent_of_cost
FROM messages AS m
GROUP BY m.agent
ORDER BY cost_usd DESC, agent;
