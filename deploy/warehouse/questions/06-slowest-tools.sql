-- Which tools are slow, and which fail? Seconds from call to result, permission included; quantiles by nearest rank, as `scan`
-- has them. A call without a result is open.
WITH
    timed AS (
        SELECT
            t.tool AS tool, t.duration_ms AS ms,
            row_number() OVER (PARTITION BY t.tool ORDER BY t.duration_ms) AS place,
            count(*) OVER (PARTITION BY t.tool) AS calls
        FROM tools AS t
        WHERE t.duration_ms IS NOT NULL
    ),
    times AS (
        SELECT
            d.tool AS tool, count(*) AS calls, sum(d.ms) AS sum_ms, max(d.ms) AS max_ms,
            min(CASE WHEN d.place * 100 >= d.calls * 50 THEN d.ms END) AS p50_ms,
            min(CASE WHEN d.place * 100 >= d.calls * 95 THEN d.ms END) AS p95_ms
        FROM timed AS d
        GROUP BY d.tool
    ),
    outcomes AS (
        SELECT
            t.tool AS tool, count(*) AS calls,
            sum(CASE WHEN t.outcome = 'failed' THEN 1 ELSE 0 END) AS failed,
            sum(CASE WHEN t.outcome = 'denied' THEN 1 ELSE 0 END) AS denied,
            sum(CASE WHEN t.outcome = 'interrupted' THEN 1 ELSE 0 END) AS interrupted,
            sum(CASE WHEN t.outcome IS NULL THEN 1 ELSE 0 END) AS open
        FROM tools AS t
        GROUP BY t.tool
    )
SELECT
    o.tool AS tool, o.calls AS calls, o.failed AS failed, o.denied AS denied, o.interrupted AS interrupted, o.open AS open,
    floor(1000 * CAST(o.failed AS DOUBLE) / o.calls + 0.5) / 10 AS percent_failed, coalesce(d.calls, 0) AS timed,
    d.p50_ms / 1000 AS p50_seconds, d.p95_ms / 1000 AS p95_seconds,
    d.max_ms / 1000 AS max_seconds, d.sum_ms / 1000 AS sum_seconds
FROM outcomes AS o LEFT JOIN times AS d ON d.tool = o.tool
ORDER BY p95_seconds DESC NULLS LAST, tool;
