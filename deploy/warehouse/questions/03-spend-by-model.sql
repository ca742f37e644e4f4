-- What does each model cost? Where several models answered one response, each has what it used itself, and the response counts
-- at the first of them.
SELECT
    c.model AS model, sum(c.messages) AS responses, sum(c.input) AS input_tokens, sum(c.output) AS output_tokens,
    sum(c.cache_read) AS cache_read_tokens, sum(c.cache_write_5m) AS cache_write_5m_tokens,
    sum(c.cache_write_1h) AS cache_write_1h_tokens, sum(c.unpriced_tokens) AS unpriced_tokens, sum(c.cost_usd) AS cost_usd
FROM costs AS c
GROUP BY c.model
ORDER BY cost_usd DESC, model;
