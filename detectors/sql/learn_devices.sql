-- Learn one day, $day, of start-up times by device type.
INSERT INTO device_days
SELECT $day, device_type, count(startup_ms), coalesce(sum(CAST(1e6 * ln(greatest(startup_ms, 1)) AS BIGINT)), 0) / 1e6
FROM slices
WHERE slot >= CAST($day AS TIMESTAMP) AND slot < CAST($day AS TIMESTAMP) + INTERVAL 1 DAY
    AND startup_ms IS NOT NULL
GROUP BY device_type
