-- title: Who asks most
-- parameters:
--   from: { type: time, default: "-1h" }
--   to: { type: time, default: "now" }
--   service: { type: text, default: "" }
-- chart: { kind: table }

-- dialect: duckdb
SELECT ip, ua, count(*) AS requests, count(*) FILTER (WHERE status >= 400) AS refused_or_failed
FROM requests
WHERE ts >= $from::TIMESTAMP AND ts < $to::TIMESTAMP AND ($service = '' OR service = $service)
GROUP BY ip, ua
ORDER BY requests DESC, ip, ua
LIMIT 50

-- dialect: bigquery
SELECT ip, ua, COUNT(*) AS requests, COUNTIF(status >= 400) AS refused_or_failed
FROM requests
WHERE ts >= @from AND ts < @to AND (@service = '' OR service = @service)
GROUP BY ip, ua
ORDER BY requests DESC, ip, ua
LIMIT 50
