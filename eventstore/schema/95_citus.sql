-- What differs where the tables are spread over several machines with Citus. create_schema runs it in the place of
-- 30 and 32, and only where the extension is installed: Citus distributes no table that has a trigger.

-- Facts stay: privileges are the twin of the triggers, for every role but a superuser.
REVOKE UPDATE, DELETE, TRUNCATE ON events, archived_events FROM PUBLIC, CURRENT_USER;

-- And there is one door: whoever owns the tables may delete while a stream is moved. The right is given and taken in one
-- transaction, so nobody else sees it; one transaction at a time, as two that change a table's privileges collide.
CREATE OR REPLACE FUNCTION let_delete(allowed boolean) RETURNS void LANGUAGE plpgsql AS $$
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
-- between, it is done later, when Citus looks after it (citus.recover_2pc_interval). Until then nobody reads past it. To
-- ask all workers takes a while, for this as for the highest position; a session that has asked once does not ask again
-- before the log has grown.
CREATE OR REPLACE FUNCTION await_commits(settled bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    asked    text := format('%s up to %s', 'events'::regclass::oid, settled);
    undone   text[];
    silent   text;
BEGIN
    IF asked = current_setting('eventstore.asked', true) THEN
        RETURN;
    END IF;
    PERFORM last_position((SELECT max(position) FROM log));
    WHILE EXISTS (SELECT FROM pg_dist_transaction) LOOP  -- what was decided in the last minute or so
        SELECT array_agg(gid) FILTER (WHERE gid IN (SELECT d.gid FROM pg_dist_transaction d)
                                        AND (undone IS NULL OR gid = ANY (undone))),
               max(result) FILTER (WHERE NOT success)
        INTO undone, silent
        FROM run_command_on_workers('SELECT string_agg(gid, '' '') FROM pg_prepared_xacts WHERE database = current_database()')
        LEFT JOIN string_to_table(result, ' ') gid ON true;
        IF silent IS NOT NULL THEN
            RAISE connection_failure USING MESSAGE = 'The log cannot be read while a worker does not answer: ' || silent;
        END IF;
        EXIT WHEN undone IS NULL;
        PERFORM pg_sleep(0.01);
    END LOOP;
    PERFORM set_config('eventstore.asked', asked, false);
END
$$;

-- These functions stay what they are, but for a line more, or for the language: Citus plans no function in the language
-- sql that is called with parameters.
DO $$
DECLARE
    f record;
    t pg_trigger;
BEGIN
    FOR f IN SELECT proname, prosrc, provolatile, pg_get_function_arguments(oid) AS arguments,
                    pg_get_function_result(oid) AS result
             FROM pg_proc WHERE oid IN ('archive_stream'::regproc, 'restore_stream'::regproc, 'read_stream'::regproc,
                                        'read_stream_from_log'::regproc, 'settled_position'::regproc,
                                        'announce_append'::regproc)
    LOOP
        f.prosrc := CASE
            WHEN f.proname LIKE 'read%' THEN 'BEGIN RETURN QUERY ' || rtrim(f.prosrc, E' \n') || '; END'
            WHEN f.proname LIKE '%_stream' THEN  -- and Citus takes no volatile function in an UPDATE
                replace(replace(replace(
                    f.prosrc, E'\nBEGIN\n', E'\nBEGIN\n    PERFORM let_delete(true);\n'),
                    'UPDATE streams s SET archived_at = clock_timestamp()',
                    'stream.archived_at := clock_timestamp(); UPDATE streams s SET archived_at = stream.archived_at'),
                    'RETURN moved;', E'PERFORM let_delete(false);\n    RETURN moved;')
            -- The highest position in the log is asked of each shard: not with every append.
            ELSE regexp_replace(f.prosrc, '\(SELECT max\(position\) FROM \w+\)', 'NULL') END;
        IF f.proname = 'settled_position' THEN
            f.prosrc := regexp_replace(f.prosrc, 'END\s*$', 'PERFORM await_commits(settled); END');
        END IF;
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

-- A LIMIT is handed on to every shard, and each brings as many rows as are wanted in all. So the log is read a stretch of
-- positions at a time: the first holds no more than are wanted; where there are holes, or others' events, come longer ones.
CREATE OR REPLACE FUNCTION read_all(
    after bigint DEFAULT 0, max_count bigint DEFAULT NULL,
    category text DEFAULT NULL, types text[] DEFAULT NULL, up_to bigint DEFAULT NULL
) RETURNS SETOF events LANGUAGE plpgsql AS $$
DECLARE
    stretch bigint := least(max_count, 10000);
    found   bigint;
BEGIN
    up_to := coalesce(up_to, (SELECT settled FROM settled_position()));

    WHILE after < up_to AND (max_count > 0) IS NOT FALSE LOOP
        RETURN QUERY
        SELECT l.*
        FROM log l
        WHERE l.position > after AND l.position <= least(after + stretch, up_to)
          AND (category IS NULL OR split_part(l.stream_id, '-', 1) = category)
          AND (types IS NULL OR l.type = ANY (types))
        ORDER BY l.position
        LIMIT max_count;
        GET DIAGNOSTICS found = ROW_COUNT;
        max_count := max_count - found;
        after := after + stretch;
        stretch := 2 * stretch;
    END LOOP;
END
$$;
