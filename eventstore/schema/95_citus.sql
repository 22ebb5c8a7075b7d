-- Where the extension Citus is: facts stay by privileges, for every role but a superuser. A table that has a trigger
-- cannot be distributed; nobody but a superuser can archive then.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_extension WHERE extname = 'citus') THEN
        REVOKE UPDATE, DELETE, TRUNCATE ON events, archived_events FROM PUBLIC, CURRENT_USER;
    END IF;
END
$$;
