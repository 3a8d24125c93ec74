-- title: The slowest routes
-- about: Routes with enough requests to say something, by their 95th percentile.
-- parameters:
--   from: { type: time, default: "-1h" }
--   to: { type: time, default: "now" }
--   service: { type: text, default: "" }
--   at_least: { type: number, default: 100 }
-- chart: { kind: bar, x: route, y: [p95] }

-- dialect: duckdb
SELECT route,
       count(*) AS requests,
       quantile_disc(rt_ms, 0.5) AS p50,
       quantile_disc(rt_ms, 0.95) AS p95,
       count(*) FILTER (WHERE status >= 500) AS failed
FROM requests
WHERE ts >= $from::TIMESTAMP AND ts < $to::TIMESTAMP AND ($service = '' OR service = $service) AND rt_ms IS NOT NULL
GROUP BY route
HAVING count(*) >= $at_least
ORDER BY p95 DESC, route
LIMIT 20

-- dialect: bigquery
SELECT route,
       COUNT(*) AS requests,
       APPROX_QUANTILES(rt_ms, 1000)[OFFSET(500)] AS p50,
       APPROX_QUANTILES(rt_ms, 1000)[OFFSET(950)] AS p95,
       COUNTIF(status >= 500) AS failed
FROM requests
WHERE ts >= @from AND ts < @to AND (@service = '' OR service = @service) AND rt_ms IS NOT NULL
GROUP BY route
HAVING COUNT(*) >= @at_least
ORDER BY p95 DESC, route
LIMIT 20
