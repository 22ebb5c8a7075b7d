-- Read the events of one stream in their order, whole by default.
--
--   from_version, to_version  the versions to read, both included
--   since, until              the moments to read, both included
CREATE OR REPLACE FUNCTION read_stream(
    stream_id text, from_version bigint DEFAULT 1, to_version bigint DEFAULT NULL,
    since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL
) RETURNS SETOF events
LANGUAGE sql STABLE AS $$
    SELECT e.*
    FROM events e
    WHERE (since IS NULL OR e.recorded_at >= since)
      AND (until IS NULL OR e.recorded_at <= until)
      AND e.stream_id = read_stream.stream_id
      AND e.version >= from_version
      AND (to_version IS NULL OR e.version <= to_version)
    ORDER BY e.version
$$;
