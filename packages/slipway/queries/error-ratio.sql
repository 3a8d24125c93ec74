-- title: Failed requests by release and minute
-- about: The share of answers of 500 and above, of each release.
-- parameters:
--   from: { type: time, default: "-1h" }
--   to: { type: time, default: "now" }
--   service: { type: text, default: "" }
-- chart: { kind: line, x: minute, y: [ratio], by: release }

-- dialect: duckdb
SELECT time_bucket(INTERVAL 1 minute, ts) AS minute,
       nullif(release, 0) AS release,
       count(*) AS requests,
       count(*) FILTER (WHERE status >= 500) AS failed,
       count(*) FILTER (WHERE status >= 500) / nullif(count(*), 0) AS ratio
FROM requests
WHERE ts >= $from::TIMESTAMP AND ts < $to::TIMESTAMP AND ($service = '' OR service = $service)
GROUP BY minute, nullif(release, 0)
ORDER BY minute, release NULLS LAST

-- dialect: bigquery
SELECT TIMESTAMP_TRUNC(ts, MINUTE) AS minute,
       release,
       COUNT(*) AS requests,
       COUNTIF(status >= 500) AS failed,
       SAFE_DIVIDE(COUNTIF(status >= 500), COUNT(*)) AS ratio
FROM requests
WHERE ts >= @from AND ts < @to AND (@service = '' OR service = @service)
GROUP BY minute, release
ORDER BY minute, release NULLS LAST
