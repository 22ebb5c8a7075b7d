-- Whether a stream is in the archive. Its row says so: no page of the archive is touched.
CREATE OR REPLACE FUNCTION is_archived(stream_id text) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN EXISTS (SELECT FROM streams s WHERE s.id = is_archived.stream_id AND s.archived_at IS NOT NULL);
END
$$;
