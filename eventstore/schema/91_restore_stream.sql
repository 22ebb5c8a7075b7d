-- Bring the events of a stream back from the archive, as they were: appends go on after the last of them.
--
-- Returns how many events were moved: 0 where the stream was not in the archive.
CREATE OR REPLACE FUNCTION restore_stream(stream_id text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    stream streams;
    moved  bigint := 0;
BEGIN
    SELECT * INTO stream FROM streams s WHERE s.id = restore_stream.stream_id FOR UPDATE;
    IF stream.id IS NULL THEN
        RAISE EXCEPTION 'There is no stream %', restore_stream.stream_id USING ERRCODE = 'ES001', DETAIL = 0;
    END IF;

    IF stream.archived_at IS NOT NULL THEN
        UPDATE streams s SET archived_at = NULL WHERE s.id = restore_stream.stream_id;
        INSERT INTO events OVERRIDING SYSTEM VALUE
        SELECT * FROM archived_events a WHERE a.stream_id = restore_stream.stream_id ORDER BY a.version;
        DELETE FROM archived_events a WHERE a.stream_id = restore_stream.stream_id;
        GET DIAGNOSTICS moved = ROW_COUNT;
    END IF;
    RETURN moved;
END
$$;
