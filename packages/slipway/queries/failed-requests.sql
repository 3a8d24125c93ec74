-- title: The newest failed requests
-- parameters:
--   from: { type: time, default: "-1h" }
--   to: { type: time, default: "now" }
--   service: { type: text, default: "" }
--   rows: { type: number, default: 50, max: 1000 }
-- chart: { kind: table }

-- dialect: duckdb
SELECT ts, cluster, service, nullif(release, 0) AS release, pod, method, path, status, rt_ms
FROM requests
WHERE ts >= $from::TIMESTAMP AND ts < $to::TIMESTAMP AND ($service = '' OR service = $service) AND status >= 500
ORDER BY ts DESC, pod, path
LIMIT $rows

-- dialect: bigquery
SELECT ts, cluster, service, release, pod, method, path, status, rt_ms
FROM requests
WHERE ts >= @from AND ts < @to AND (@service = '' OR service = @service) AND status >= 500
ORDER BY ts DESC, pod, path
LIMIT @rows
