-- The usual start-up time of each device type: the geometric mean over the days from $from.
CREATE OR REPLACE TABLE device_normals AS
SELECT device_type, exp(sum(log_startup) / sum(starts)) AS startup_ms
FROM device_days
WHERE day >= $from AND starts > 0
GROUP BY device_type
