-- title: What is left of the error budget
-- about: Over 30 days, for an objective in percent. Below zero the promise is broken.
-- parameters:
--   from: { type: time, default: "-30d" }
--   to: { type: time, default: "now" }
--   objective: { type: number, default: 99.9 }
-- chart: { kind: table }

-- dialect: duckdb
SELECT service,
       count(*) AS requests,
       count(*) FILTER (WHERE status >= 500) AS failed,
       1 - (count(*) FILTER (WHERE status >= 500) / nullif(count(*), 0)) / (1 - $objective / 100) AS budget_left
FROM requests
WHERE ts >= $from::TIMESTAMP AND ts < $to::TIMESTAMP
GROUP BY service
ORDER BY service

-- dialect: bigquery
SELECT service,
       COUNT(*) AS requests,
       COUNTIF(status >= 500) AS failed,
       1 - SAFE_DIVIDE(COUNTIF(status >= 500), COUNT(*)) / (1 - @objective / 100) AS budget_left
FROM requests
WHERE ts >= @from AND ts < @to
GROUP BY service
ORDER BY service
