-- What does each team spend? A team is what `teams.csv` says of a host or project; `hosts` and `sessions` are distinct, and a
-- session is in each team whose projects it worked in.
SELECT
    m.team AS team, count(DISTINCT m.host) AS hosts, count(DISTINCT m.session) AS sessions, count(*) AS responses,
    sum(m.output) AS output_tokens, sum(m.unpriced_tokens) AS unpriced_tokens, sum(m.cost_usd) AS cost_usd,
    floor(1000 * CAST(sum(m.cost_usd) AS DOUBLE) / nullif(CAST(sum(sum(m.cost_usd)) OVER () AS DOUBLE), 0) + 0.5) / 10
        AS percent_of_cost
FROM messages AS m
GROUP BY m.team
ORDER BY cost_usd DESC, team;
