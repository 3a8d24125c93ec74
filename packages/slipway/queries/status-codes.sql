-- title: Status codes
-- parameters:
--   from: { type: time, default: "-1h" }
--   to: { type: time, default: "now" }
--   service: { type: text, default: "" }
-- chart: { kind: bar, x: status, y: [requests] }

-- dialect: duckdb
SELECT status, count(*) AS requests, max(ts) AS newest
FROM requests
WHERE ts >= $from::TIMESTAMP AND ts < $to::TIMESTAMP AND ($service = '' OR service = $service)
GROUP BY status
ORDER BY status

-- dialect: bigquery
SELECT status, COUNT(*) AS requests, MAX(ts) AS newest
FROM requests
WHERE ts >= @from AND ts < @to AND (@service = '' OR service = @service)
GROUP BY status
ORDER BY status
