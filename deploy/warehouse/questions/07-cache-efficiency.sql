-- How well is the cache used? Of the prompt tokens of each model: how many were read from it, written to it, or neither; and how
-- often a written token was read. A write costs 1.25 (5 minutes) or 2 (an hour) times the price of input and a read a tenth or
-- less, so that below about 0.3 (or 1.1) reads for each write the cache costs more than it saves. What it saved in
-- money is not told: the lake has costs, not prices.
SELECT
    c.model AS model, sum(c.input + c.cache_read + c.cache_write_5m + c.cache_write_1h) AS prompt_tokens,
    sum(c.cache_read) AS read_tokens, sum(c.cache_write_5m) AS written_5m_tokens, sum(c.cache_write_1h) AS written_1h_tokens,
    floor(1000 * CAST(sum(c.cache_read) AS DOUBLE)
        / nullif(CAST(sum(c.input + c.cache_read + c.cache_write_5m + c.cache_write_1h) AS DOUBLE), 0) + 0.5) / 10 AS percent_read,
    floor(100 * CAST(sum(c.cache_read) AS DOUBLE)
        / nullif(CAST(sum(c.cache_write_5m + c.cache_write_1h) AS DOUBLE), 0) + 0.5) / 100 AS reads_per_write,
    sum(c.cost_usd) AS cost_usd
FROM costs AS c
GROUP BY c.model
ORDER BY prompt_tokens DESC, model;
