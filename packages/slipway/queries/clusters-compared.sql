-- title: Clusters side by side
-- about: The same service in each cluster. One that is slower or fails more than its neighbours stands out.
-- parameters:
--   from: { type: time, default: "-1h" }
--   to: { type: time, default: "now" }
--   service: { type: text, default: "" }
-- chart: { kind: table }

-- dialect: duckdb
SELECT cluster, service,
       count(*) AS requests,
       count(*) FILTER (WHERE status >= 500) / nullif(count(*), 0) AS error_ratio,
       quantile_disc(rt_ms, 0.5) AS p50,
       quantile_disc(rt_ms, 0.95) AS p95
FROM requests
WHERE ts >= $from::TIMESTAMP AND ts < $to::TIMESTAMP AND ($service = '' OR service = $service)
GROUP BY cluster, service
ORDER BY cluster, service

-- dialect: bigquery
SELECT cluster, service,
       COUNT(*) AS requests,
       SAFE_DIVIDE(COUNTIF(status >= 500), COUNT(*)) AS error_ratio,
       APPROX_QUANTILES(rt_ms, 1000)[OFFSET(500)] AS p50,
       APPROX_QUANTILES(rt_ms, 1000)[OFFSET(950)] AS p95
FROM requests
WHERE ts >= @from AND ts < @to AND (@service = '' OR service = @service)
GROUP BY cluster, service
ORDER BY cluster, service
