-- How many use it? Hosts with a response in the week (ISO 8601, UTC), those of them that had none before, their sessions,
-- the turns that people asked for, and the cost. A host stands for a user where each exports under a name of his own.
WITH
    firsts AS (SELECT m.host AS host, min(m.week) AS week FROM messages AS m GROUP BY m.host),
    begun AS (SELECT f.week AS week, count(*) AS hosts FROM firsts AS f GROUP BY f.week),
    asked AS (SELECT t.week AS week, count(*) AS turns FROM turns AS t WHERE t.origin = 'human' GROUP BY t.week),
    used AS (
        SELECT
            m.week AS week, count(DISTINCT m.host) AS hosts, count(DISTINCT m.session) AS sessions, count(*) AS responses,
            sum(m.cost_usd) AS cost_usd
        FROM messages AS m
        GROUP BY m.week
    )
SELECT
    u.week AS week, u.hosts AS hosts, coalesce(b.hosts, 0) AS new_hosts, u.sessions AS sessions,
    coalesce(a.turns, 0) AS turns_of_people, u.responses AS responses, u.cost_usd AS cost_usd
FROM used AS u LEFT JOIN begun AS b ON b.week = u.week LEFT JOIN asked AS a ON a.week = u.week
ORDER BY week;
