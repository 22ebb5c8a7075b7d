-- Up to which position the log is settled: every event there was committed or rolled back, and none can appear any more.
--
-- Returns that position, and the last one that anybody has drawn; they are the same while no append is under way.
-- The order of the steps is what makes it true: see which positions there are, then which of them are still open, and
-- only then, in a statement of its own, read the events. Whoever drew one of the positions announced it before.
CREATE OR REPLACE FUNCTION settled_position(OUT settled bigint, OUT drawn bigint) LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('transaction_isolation') NOT LIKE 'read %' THEN
        RAISE EXCEPTION 'The log cannot be read in a % transaction', current_setting('transaction_isolation')
            USING ERRCODE = 'active_sql_transaction', HINT = 'It sees the past, and would skip events: use READ COMMITTED.';
    ELSIF pg_is_in_recovery() THEN
        RAISE EXCEPTION 'The log cannot be read on a standby'
            USING ERRCODE = 'read_only_sql_transaction', HINT = 'It does not know which appends are open: read on the primary.';
    END IF;

    drawn := last_position((SELECT max(position) FROM log));

    SELECT least(drawn, min((classid::bigint & 65535) << 32 | objid::bigint)) INTO settled
    FROM pg_locks
    WHERE locktype = 'advisory' AND objsubid = 1
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND classid::bigint >> 16 = 'events'::regclass::oid::bigint & 65535;
END
$$;
