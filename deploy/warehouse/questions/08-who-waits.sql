-- Who waits for whom, and how long? `person` and `program` wait from their prompt to the end of its turn (a turn that goes on is
-- not in it, and whether the person looked on is not known); `agent`: the turns of notifications and teammates. `turn` waits for
-- a person: calls that a person allowed or refused, and questions and plans put to one, from call to result, so with the work
-- of a call that was allowed. How long somebody thought before the next prompt is not in it.
WITH
    waits AS (
        SELECT
            t.team AS team,
            CASE t.origin WHEN 'human' THEN 'person' WHEN 'sdk' THEN 'program' ELSE 'agent' END AS who,
            t.duration_ms AS ms
        FROM turns AS t
        WHERE t.duration_ms IS NOT NULL
        UNION ALL
        SELECT c.team AS team, 'turn' AS who, c.duration_ms AS ms
        FROM tools AS c
        WHERE c.duration_ms IS NOT NULL AND (c.decision LIKE 'user%' OR c.tool IN ('AskUserQuestion', 'ExitPlanMode'))
    ),
    placed AS (
        SELECT
            w.team AS team, w.who AS who, w.ms AS ms,
            row_number() OVER (PARTITION BY w.team, w.who ORDER BY w.ms) AS place,
            count(*) OVER (PARTITION BY w.team, w.who) AS waits
        FROM waits AS w
    )
SELECT
    p.team AS team, p.who AS who, count(*) AS waits, sum(p.ms) / 1000 AS seconds,
    min(CASE WHEN p.place * 100 >= p.waits * 50 THEN p.ms END) / 1000 AS p50_seconds,
    min(CASE WHEN p.place * 100 >= p.waits * 95 THEN p.ms END) / 1000 AS p95_seconds,
    max(p.ms) / 1000 AS max_seconds
FROM placed AS p
GROUP BY p.team, p.who
ORDER BY seconds DESC, team, who;
