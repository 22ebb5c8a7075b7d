-- Append events at the end of a stream: all of them or none, in one statement.
--
--   stream_id         the stream to append to; the first append makes it
--   expected_version  the version the writer read (0: no stream yet, -1: any existing stream, NULL: whatever it is)
--   new_events        a JSON array: [{"type": "DepositRecorded", "data": {...}}, ...]; each may bring its own "id"
--   metadata          a JSON object, stored with each of the events
--
-- Returns the version and the position of the last event, and whether this only repeated an earlier append. Lines that a
-- later notebook brings are marked with its number.
CREATE OR REPLACE FUNCTION append_to_stream(
    stream_id text, expected_version bigint, new_events jsonb, metadata jsonb DEFAULT '{}'
) RETURNS TABLE (version bigint, "position" bigint, repeated boolean)
LANGUAGE plpgsql AS $$
DECLARE
    added    bigint := jsonb_array_length(new_events);
    actual   bigint;     -- the version before this append
    stamp    timestamptz;
    known    bigint;     -- how many of the events are in the stream already,
    in_place bigint;     -- and how many of them just where this append would put them
    archived timestamptz;  -- 09
    lost     boolean := false;  -- 10: whether somebody else was faster, and nothing is locked
BEGIN
    IF added = 0 THEN
        RAISE EXCEPTION 'No events to append to stream %', append_to_stream.stream_id
            USING ERRCODE = 'invalid_parameter_value';
    END IF;

    -- 1. Lock. One statement makes the stream's row, or waits for it, and takes versions.
    IF expected_version > 0 THEN  -- 10: who waits here for a faster one, and has lost, lets the others by
        UPDATE streams s SET version = s.version + added  -- 10
        WHERE s.id = append_to_stream.stream_id AND s.version = expected_version  -- 10
        RETURNING s.version - added, s.archived_at INTO actual, archived;  -- 10
        IF NOT FOUND THEN  -- 10
            SELECT s.version, s.archived_at INTO actual, archived FROM streams s  -- 10
            WHERE s.id = append_to_stream.stream_id AND s.version <> expected_version;  -- 10
            lost := FOUND;  -- 10
        END IF;  -- 10
    END IF;  -- 10
    IF actual IS NULL THEN  -- 10
    INSERT INTO streams AS s (id, version) VALUES (append_to_stream.stream_id, added)
    ON CONFLICT (id) DO UPDATE SET version = s.version + added
    RETURNING s.version - added, s.archived_at INTO actual, archived;  -- 09: what of the archive
    END IF;  -- 10

    IF archived IS NOT NULL THEN  -- 09
        RAISE EXCEPTION 'Stream % was archived at %', append_to_stream.stream_id, archived  -- 09
            USING ERRCODE = 'ES003', HINT = 'restore_stream brings it back.';  -- 09
    END IF;  -- 09

    -- 2. Look, and only now: nobody else can move this stream until we commit.
    IF (expected_version <> -1 AND actual <> expected_version)
        OR (expected_version = -1 AND actual = 0) THEN
        -- Did an earlier try succeed, and its answer get lost? Then these very events follow expected_version.
        SELECT count(*),
               count(*) FILTER (
                   WHERE e.version - n = expected_version
                     AND (e.type, e.data) = (event ->> 'type', event -> 'data')  -- 09
               ),
               max(e.version), max(e.position)
        INTO known, in_place, version, "position"
        FROM jsonb_array_elements(new_events) WITH ORDINALITY AS given (event, n)
        JOIN events e
          ON e.stream_id = append_to_stream.stream_id AND e.id = (event ->> 'id')::uuid;

        IF in_place = added THEN
            UPDATE streams SET version = actual WHERE id = append_to_stream.stream_id AND NOT lost;  -- 10: not lost
            repeated := true;
            RETURN NEXT;
            RETURN;
        ELSIF known > 0 THEN
            RAISE unique_violation
                USING MESSAGE = format('%s of %s events are here already', known, added);
        END IF;

        RAISE EXCEPTION 'Wrong expected version: % (stream: %, stream version: %)',
                expected_version, append_to_stream.stream_id, actual
            USING ERRCODE = 'ES001', DETAIL = actual;
    END IF;

    -- 3. Write. now() is the start of the transaction, and one that started earlier may append later:
    --    the clock is read under the lock, and never goes back behind the stream's last event.
    SELECT greatest(clock_timestamp(), max(e.recorded_at)) INTO stamp
    FROM events e WHERE e.stream_id = append_to_stream.stream_id AND e.version = actual;

    PERFORM announce_append();  -- 08: before positions are drawn

    RETURN QUERY
    WITH appended AS (
        INSERT INTO events (stream_id, version, id, type, data, metadata, recorded_at)
        SELECT append_to_stream.stream_id, actual + n,
               coalesce((event ->> 'id')::uuid, gen_random_uuid()),
               event ->> 'type', event -> 'data', append_to_stream.metadata, stamp
        FROM jsonb_array_elements(new_events) WITH ORDINALITY AS given (event, n)
        ORDER BY n
        RETURNING events.version, events.position
    )
    SELECT max(a.version), max(a.position), false FROM appended a;

    PERFORM notify_subscribers();  -- 08
END
$$;
