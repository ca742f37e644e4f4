-- When is it used? Turns, responses and cost by weekday (1 is Monday) and hour, in UTC.
SELECT
    w.weekday AS weekday, w.hour AS hour, sum(w.turns) AS turns, sum(w.responses) AS responses, sum(w.cost_usd) AS cost_usd
FROM (
    SELECT m.weekday AS weekday, m.hour AS hour, 0 AS turns, 1 AS responses, m.cost_usd AS cost_usd FROM messages AS m
    UNION ALL
    SELECT t.weekday AS weekday, t.hour AS hour, 1 AS turns, 0 AS responses, CAST(0 AS DECIMAL(38, 12)) AS cost_usd
    FROM turns AS t
) AS w
GROUP BY w.weekday, w.hour
ORDER BY weekday, hour;
