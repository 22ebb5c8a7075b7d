-- Append one event to the stream of whoever calls. SECURITY DEFINER: it runs with the rights of the room's owner, for
-- learners have none on the tables. session_user is who logged in, and no argument can change that.
--
-- Returns the version of the event. An append that is repeated, with the same id and the same expected version,
-- stores nothing twice.
CREATE OR REPLACE FUNCTION record_attempt(event_id uuid, type text, data jsonb, expected_version bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = room, pg_temp  -- or the caller's own tables and functions would be used, with the owner's rights
AS $$
DECLARE
    stream  text := {stream_prefix} || session_user;
    latest  bigint;
    version bigint;
BEGIN
    IF event_id IS NULL OR expected_version IS NULL OR expected_version < 0 THEN
        RAISE invalid_parameter_value USING MESSAGE = 'An attempt needs an id, and the version that it follows';
    ELSIF NOT is_attempt(type, data) THEN
        RAISE invalid_parameter_value USING MESSAGE = 'That is no attempt at an exercise, and no answer to share';
    END IF;

    -- A flood ends here: so many in all, and so many a minute. The kit keeps what is refused, and sends it later.
    SELECT s.version INTO latest FROM streams s WHERE s.id = stream;
    IF latest >= 5000 THEN
        RAISE program_limit_exceeded USING MESSAGE = 'This room takes no more events of ' || session_user;
    ELSIF EXISTS (SELECT FROM events e WHERE e.stream_id = stream AND e.version = latest - 119
                  AND e.recorded_at > clock_timestamp() - interval '1 minute') THEN
        RAISE configuration_limit_exceeded USING MESSAGE = 'Too many events of ' || session_user || ' within a minute';
    END IF;

    -- Readers of the log wait for appends that are not committed yet, so a transaction must not be left open here.
    -- The caller can undo this: the dashboard ends what stays.
    PERFORM set_config('idle_in_transaction_session_timeout', '2s', true);
    PERFORM set_config('eventstore.announced', '', true);  -- the caller may have set it, to hide this append

    SELECT a.version INTO version
    FROM append_to_stream(stream, expected_version,
                          jsonb_build_array(jsonb_build_object('id', event_id, 'type', type, 'data', data))) a;
    RETURN version;
END
$$;
