-- Read the events of one stream as read_stream does, wherever they are kept now.
CREATE OR REPLACE FUNCTION read_stream_from_log(
    stream_id text, from_version bigint DEFAULT 1, to_version bigint DEFAULT NULL,
    since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL
) RETURNS SETOF events LANGUAGE sql STABLE AS $$
    SELECT l.*
    FROM log l
    WHERE l.stream_id = read_stream_from_log.stream_id
      AND l.version >= from_version AND (to_version IS NULL OR l.version <= to_version)
      AND (since IS NULL OR l.recorded_at >= since) AND (until IS NULL OR l.recorded_at <= until)
    ORDER BY l.version
$$;
