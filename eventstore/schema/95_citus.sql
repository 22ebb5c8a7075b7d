-- What differs where the tables are spread over several machines with Citus. create_schema runs it in the place of
-- 30 and 32, and only where the extension is installed: Citus distributes no table that has a trigger.

-- Facts stay: privileges are the twin of the triggers, for every role but a superuser.
REVOKE UPDATE, DELETE, TRUNCATE ON events, archived_events FROM PUBLIC, CURRENT_USER;

-- And there is one door: whoever owns the tables may delete while a stream is moved. The right is given and taken in one
-- transaction, so nobody else sees it; one transaction at a time, as two that change a table's privileges collide.
CREATE OR REPLACE FUNCTION let_delete(allowed boolean) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF allowed THEN
        PERFORM pg_advisory_xact_lock('archived_events'::regclass::oid::int, 0);
        GRANT DELETE ON events, archived_events TO CURRENT_USER;
    ELSE
        REVOKE DELETE ON events, archived_events FROM CURRENT_USER;
    END IF;
END
$$;

-- Nothing is skipped: a commit is decided on the coordinator, and then done on the workers. Where one of them fails in
-- between, it comes later, when Citus looks after it (citus.recover_2pc_interval). Until then nobody may read past it.
CREATE OR REPLACE FUNCTION await_commits() RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    prepared text := $q$SELECT coalesce(json_agg(gid), '[]') FROM pg_prepared_xacts WHERE database = current_database()$q$;
    undone   text[];
BEGIN
    WHILE EXISTS (SELECT FROM pg_dist_transaction) LOOP  -- what was decided in the last minute or so
        SELECT array_agg(gid) INTO undone
        FROM run_command_on_workers(prepared) worker, json_array_elements_text(worker.result::json) gid
        WHERE gid IN (SELECT d.gid FROM pg_dist_transaction d) AND (undone IS NULL OR gid = ANY (undone));
        EXIT WHEN undone IS NULL;
    END LOOP;
END
$$;

-- Functions that are what they are, but for a line more; and Citus plans no function in the language sql that is called
-- with parameters.
DO $$
DECLARE
    f record;
    t pg_trigger;
BEGIN
    FOR f IN SELECT proname, prosrc, provolatile, pg_get_function_arguments(oid) AS arguments,
                    pg_get_function_result(oid) AS result
             FROM pg_proc WHERE oid IN ('archive_stream'::regproc, 'restore_stream'::regproc, 'read_stream'::regproc,
                                        'read_stream_from_log'::regproc, 'settled_position'::regproc)
    LOOP
        f.prosrc := CASE WHEN f.proname LIKE 'read%' THEN 'BEGIN RETURN QUERY ' || rtrim(f.prosrc, E' \n') || '; END'
            WHEN f.proname = 'settled_position' THEN regexp_replace(f.prosrc, 'END\s*$', 'PERFORM await_commits(); END')
            ELSE replace(replace(f.prosrc, E'\nBEGIN\n', E'\nBEGIN\n    PERFORM let_delete(true);\n'),
                         'RETURN moved;', E'PERFORM let_delete(false);\n    RETURN moved;') END;
        EXECUTE format('CREATE OR REPLACE FUNCTION %I(%s) RETURNS %s LANGUAGE plpgsql %s AS %L', f.proname, f.arguments,
                       f.result, CASE f.provolatile WHEN 's' THEN 'STABLE' END, f.prosrc);
    END LOOP;

    -- A store that was there before the extension has triggers.
    FOR t IN SELECT * FROM pg_trigger
             WHERE tgrelid IN ('events'::regclass, 'archived_events'::regclass)
               AND tgfoid IN (to_regproc('refuse_change'), to_regproc('refuse_loss')) LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', t.tgname, t.tgrelid::regclass);
    END LOOP;
END
$$;

-- It joins no distributed table with a local one either: the status asks a function about the log.
CREATE OR REPLACE FUNCTION events_behind(checkpoint bigint, OUT events bigint, OUT oldest timestamptz)
LANGUAGE plpgsql STABLE AS $$
BEGIN
    SELECT count(*), min(l.recorded_at) INTO events, oldest FROM log l WHERE l.position > checkpoint;
END
$$;

CREATE OR REPLACE VIEW subscription_status AS
SELECT s.name, s.checkpoint,
       behind.events                                                            AS events_behind,
       coalesce(extract(epoch FROM clock_timestamp() - behind.oldest), 0)       AS seconds_behind,
       (SELECT count(*) FROM parked_events p WHERE p.subscription = s.name)     AS events_parked
FROM subscriptions s CROSS JOIN LATERAL events_behind(s.checkpoint) behind;
