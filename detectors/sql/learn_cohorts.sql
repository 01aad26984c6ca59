-- Learn one day of exposures and fresh impairments by hour and finest cohort; `observations` is the day's slices
-- as observations.sql judges them.
INSERT INTO cohort_hours
SELECT
    CAST($day AS DATE),
    date_trunc('hour', slot),
    country, region, isp, cdn, device_type, app_version, connection_type, content_type,
    count_if(attempt), count(*), count_if(started),
    count_if(fresh_buffering), count_if(fresh_startup), count_if(fresh_failure), count_if(fresh_access),
    count_if(buffering), count_if(startup), count_if(failure), count_if(access)
FROM observations
GROUP BY ALL
