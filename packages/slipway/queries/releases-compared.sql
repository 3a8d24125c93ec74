-- title: Releases side by side
-- about: Is the new version slower? One row for each release that had requests; that of requests without a release is last.
-- parameters:
--   from: { type: time, default: "-24h" }
--   to: { type: time, default: "now" }
--   service: { type: text, default: "" }
-- chart: { kind: table }

-- dialect: duckdb
SELECT nullif(release, 0) AS release,
       min(ts) AS first_request,
       max(ts) AS last_request,
       count(*) AS requests,
       count(*) FILTER (WHERE status >= 500) / nullif(count(*), 0) AS error_ratio,
       quantile_disc(rt_ms, 0.5) AS p50,
       quantile_disc(rt_ms, 0.95) AS p95,
       quantile_disc(rt_ms, 0.99) AS p99
FROM requests
WHERE ts >= $from::TIMESTAMP AND ts < $to::TIMESTAMP AND ($service = '' OR service = $service)
GROUP BY nullif(release, 0)
ORDER BY release NULLS LAST

-- dialect: bigquery
SELECT release,
       MIN(ts) AS first_request,
       MAX(ts) AS last_request,
       COUNT(*) AS requests,
       SAFE_DIVIDE(COUNTIF(status >= 500), COUNT(*)) AS error_ratio,
       APPROX_QUANTILES(rt_ms, 1000)[OFFSET(500)] AS p50,
       APPROX_QUANTILES(rt_ms, 1000)[OFFSET(950)] AS p95,
       APPROX_QUANTILES(rt_ms, 1000)[OFFSET(990)] AS p99
FROM requests
WHERE ts >= @from AND ts < @to AND (@service = '' OR service = @service)
GROUP BY release
ORDER BY release NULLS LAST
