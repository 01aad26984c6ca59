-- Whether this very file was ingested already, for the whole or for this window, under this contract. By name, size
-- and time of writing first, so that a folder of old files is passed over without reading them.
SELECT count(*)
FROM batches
WHERE contract = $contract AND table_name = $table_name AND format = $format
    AND (window_start IS NULL OR (window_start <= $window_start AND window_end >= $window_end))
    AND (
        (source = $source AND size_bytes = $size_bytes AND modified_ns = $modified_ns)
        OR digest = $digest
    );
