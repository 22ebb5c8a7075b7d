-- Move the events of a stream into the archive, in one statement. From then on nothing can be appended to it.
--
--   stream_id         the stream
--   expected_version  the version at which it was decided to archive it (NULL: whatever it is)
--
-- Returns how many events were moved: 0 where the stream was in the archive already.
CREATE OR REPLACE FUNCTION archive_stream(stream_id text, expected_version bigint DEFAULT NULL)
RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    stream streams;
    moved  bigint := 0;
BEGIN
    -- The stream's row is the lock, as it is for appends.
    SELECT * INTO stream FROM streams s WHERE s.id = archive_stream.stream_id FOR UPDATE;
    IF stream.id IS NULL OR stream.version <> expected_version THEN
        RAISE EXCEPTION 'Wrong expected version: % (stream: %, stream version: %)',
                expected_version, archive_stream.stream_id, coalesce(stream.version, 0)
            USING ERRCODE = 'ES001', DETAIL = coalesce(stream.version, 0);
    END IF;

    IF stream.archived_at IS NULL THEN
        UPDATE streams s SET archived_at = clock_timestamp() WHERE s.id = archive_stream.stream_id;
        INSERT INTO archived_events SELECT * FROM events e WHERE e.stream_id = archive_stream.stream_id;
        DELETE FROM events e WHERE e.stream_id = archive_stream.stream_id;  -- allowed, for the archive holds them
        GET DIAGNOSTICS moved = ROW_COUNT;
        DELETE FROM snapshots s WHERE s.stream_id = archive_stream.stream_id;
    END IF;
    RETURN moved;
END
$$;
