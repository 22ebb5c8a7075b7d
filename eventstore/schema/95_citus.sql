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

DO $$
DECLARE
    f pg_proc;
    t pg_trigger;
BEGIN
    -- Of a store that was there before the extension.
    FOR t IN SELECT * FROM pg_trigger
             WHERE tgrelid IN ('events'::regclass, 'archived_events'::regclass)
               AND tgfoid IN (to_regproc('refuse_change'), to_regproc('refuse_loss')) LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', t.tgname, t.tgrelid::regclass);
    END LOOP;

    FOR f IN SELECT * FROM pg_proc WHERE oid IN ('archive_stream'::regproc, 'restore_stream'::regproc) LOOP
        EXECUTE format('CREATE OR REPLACE FUNCTION %I(%s) RETURNS bigint LANGUAGE plpgsql AS %L',
                       f.proname, pg_get_function_arguments(f.oid),
                       replace(replace(f.prosrc, E'\nBEGIN\n', E'\nBEGIN\n    PERFORM let_delete(true);\n'),
                               'RETURN moved;', E'PERFORM let_delete(false);\n    RETURN moved;'));
    END LOOP;

    -- Citus plans no function in the language sql that is called with parameters: the same bodies in PL/pgSQL.
    FOR f IN SELECT * FROM pg_proc WHERE oid IN ('read_stream'::regproc, 'read_stream_from_log'::regproc) LOOP
        EXECUTE format('CREATE OR REPLACE FUNCTION %I(%s) RETURNS SETOF events LANGUAGE plpgsql STABLE AS %L',
                       f.proname, pg_get_function_arguments(f.oid),
                       'BEGIN RETURN QUERY ' || rtrim(f.prosrc, E' \n') || '; END');
    END LOOP;
END
$$;
