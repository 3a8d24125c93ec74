-- title: Requests by status class and minute
-- about: 499 is a client that went away before the answer; it is not a failure of the server.
-- parameters:
--   from: { type: time, default: "-1h" }
--   to: { type: time, default: "now" }
--   service: { type: text, default: "" }
-- chart: { kind: bar, x: minute, y: [ok, redirected, refused, gone, failed] }

-- dialect: duckdb
SELECT time_bucket(INTERVAL 1 minute, ts) AS minute,
       count(*) FILTER (WHERE status < 300) AS ok,
       count(*) FILTER (WHERE status >= 300 AND status < 400) AS redirected,
       count(*) FILTER (WHERE status >= 400 AND status < 500 AND status <> 499) AS refused,
       count(*) FILTER (WHERE status = 499) AS gone,
       count(*) FILTER (WHERE status >= 500) AS failed
FROM requests
WHERE ts >= $from::TIMESTAMP AND ts < $to::TIMESTAMP AND ($service = '' OR service = $service)
GROUP BY minute
ORDER BY minute

-- dialect: bigquery
SELECT TIMESTAMP_TRUNC(ts, MINUTE) AS minute,
       COUNTIF(status < 300) AS ok,
       COUNTIF(status >= 300 AND status < 400) AS redirected,
       COUNTIF(status >= 400 AND status < 500 AND status <> 499) AS refused,
       COUNTIF(status = 499) AS gone,
       COUNTIF(status >= 500) AS failed
FROM requests
WHERE ts >= @from AND ts < @to AND (@service = '' OR service = @service)
GROUP BY minute
ORDER BY minute
