-- What this room knows of whoever calls, in the order in which it came: all of it, or what came after a version.
CREATE OR REPLACE FUNCTION my_attempts(after bigint DEFAULT 0) RETURNS SETOF events
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = room, pg_temp
AS $$
    SELECT * FROM read_stream({stream_prefix} || session_user, after + 1)
$$;
