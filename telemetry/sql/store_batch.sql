-- The file as ingested.
INSERT INTO batches BY NAME
SELECT
    $batch_id AS batch_id, $source AS source, $table_name AS table_name, $format AS format, $digest AS digest,
    $contract AS contract, $size_bytes AS size_bytes, $modified_ns AS modified_ns,
    $window_start AS window_start, $window_end AS window_end,
    $rows AS rows, $accepted AS accepted, $duplicates AS duplicates, $quarantined AS quarantined,
    (SELECT min(received_time) FROM event_rows WHERE batch_id = $batch_id) AS min_received,
    (SELECT max(received_time) FROM event_rows WHERE batch_id = $batch_id) AS max_received,
    NULL AS merged_until, $ingested_time AS ingested_time;
