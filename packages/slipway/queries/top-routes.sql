-- title: The routes with most requests
-- parameters:
--   from: { type: time, default: "-1h" }
--   to: { type: time, default: "now" }
--   service: { type: text, default: "" }
-- chart: { kind: bar, x: route, y: [requests] }

-- dialect: duckdb
SELECT route,
       count(*) AS requests,
       sum(bytes) AS bytes,
       count(*) FILTER (WHERE status >= 500) AS failed
FROM requests
WHERE ts >= $from::TIMESTAMP AND ts < $to::TIMESTAMP AND ($service = '' OR service = $service)
GROUP BY route
ORDER BY requests DESC, route
LIMIT 20

-- dialect: bigquery
SELECT route,
       COUNT(*) AS requests,
       SUM(bytes) AS bytes,
       COUNTIF(status >= 500) AS failed
FROM requests
WHERE ts >= @from AND ts < @to AND (@service = '' OR service = @service)
GROUP BY route
ORDER BY requests DESC, route
LIMIT 20
