-- Learn one day, $day, of exposures and impairments by hour and finest cohort, from the day's judged slices.
INSERT INTO cohort_hours
SELECT
    $day,
    date_trunc('hour', slot),
    country, region, isp, cdn, device_type, app_version, connection_type, content_type,
    count_if(exposed_buffering), count_if(exposed_startup), count_if(exposed_failure), count_if(exposed_access),
    count_if(at_risk_buffering), count_if(at_risk_startup), count_if(at_risk_failure), count_if(at_risk_access),
    count_if(fresh_buffering), count_if(fresh_startup), count_if(fresh_failure), count_if(fresh_access),
    count_if(all_buffering), count_if(all_startup), count_if(all_failure), count_if(all_access)
FROM observations
GROUP BY ALL
