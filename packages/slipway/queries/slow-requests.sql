-- title: The slowest requests
-- parameters:
--   from: { type: time, default: "-1h" }
--   to: { type: time, default: "now" }
--   service: { type: text, default: "" }
--   above: { type: number, default: 1000 }
-- chart: { kind: table }

-- dialect: duckdb
SELECT rt_ms, urt_ms, ts, cluster, service, nullif(release, 0) AS release, pod, method, path, status
FROM requests
WHERE ts >= $from::TIMESTAMP AND ts < $to::TIMESTAMP AND ($service = '' OR service = $service) AND rt_ms > $above
ORDER BY rt_ms DESC, ts, path
LIMIT 50

-- dialect: bigquery
SELECT rt_ms, urt_ms, ts, cluster, service, release, pod, method, path, status
FROM requests
WHERE ts >= @from AND ts < @to AND (@service = '' OR service = @service) AND rt_ms > @above
ORDER BY rt_ms DESC, ts, path
LIMIT 50
