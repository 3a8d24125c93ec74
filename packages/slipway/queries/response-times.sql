-- title: Response times by minute
-- about: Median, 95th and 99th percentile of all requests, in milliseconds.
-- parameters:
--   from: { type: time, default: "-1h" }
--   to: { type: time, default: "now" }
--   service: { type: text, default: "" }
-- chart: { kind: line, x: minute, y: [p50, p95, p99] }

-- dialect: duckdb
SELECT time_bucket(INTERVAL 1 minute, ts) AS minute,
       quantile_disc(rt_ms, 0.5) AS p50,
       quantile_disc(rt_ms, 0.95) AS p95,
       quantile_disc(rt_ms, 0.99) AS p99,
       count(*) AS requests
FROM requests
WHERE ts >= $from::TIMESTAMP AND ts < $to::TIMESTAMP AND ($service = '' OR service = $service) AND rt_ms IS NOT NULL
GROUP BY minute
ORDER BY minute

-- dialect: bigquery
SELECT TIMESTAMP_TRUNC(ts, MINUTE) AS minute,
       APPROX_QUANTILES(rt_ms, 1000)[OFFSET(500)] AS p50,
       APPROX_QUANTILES(rt_ms, 1000)[OFFSET(950)] AS p95,
       APPROX_QUANTILES(rt_ms, 1000)[OFFSET(990)] AS p99,
       COUNT(*) AS requests
FROM requests
WHERE ts >= @from AND ts < @to AND (@service = '' OR service = @service) AND rt_ms IS NOT NULL
GROUP BY minute
ORDER BY minute
