-- Say, before positions are drawn, behind which position they will be.
--
-- A position is drawn at the insert and seen at the commit, so a lower one can be seen after a higher one. Readers of
-- the log therefore stop before the lowest position that was announced by a transaction which is still open.
--
-- The announcement is an advisory lock, shared, so nobody waits for it. It ends with its transaction, however that
-- ends. Its key is the log (16 bits, of the table's oid) and the last position that anybody has drawn (48 bits).
CREATE OR REPLACE FUNCTION announce_append() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    log      text := 'events'::regclass::oid;
    sequence text;
    drawn    bigint;
BEGIN
    -- Once a transaction: what it draws later is higher. The setting ends with the transaction, too.
    IF current_setting('eventstore.announced', true) IS DISTINCT FROM log THEN
        IF pg_my_temp_schema() <> 0 AND coalesce(  -- this session has temporary tables
            to_regclass('pg_temp.streams'), to_regclass('pg_temp.events'),
            to_regclass('pg_temp.archived_events'), to_regclass('pg_temp.subscriptions')) IS NOT NULL THEN
            RAISE EXCEPTION 'A temporary table has the name of one of the event store''s, and is in its way'
                USING HINT = 'It would take the events, and end with the session: call it otherwise.';
        END IF;

        IF current_setting('eventstore.checked', true) = log THEN
            drawn := pg_sequence_last_value(to_regclass(current_setting('eventstore.sequence')));
        ELSIF current_setting('transaction_isolation') <> 'serializable' THEN
            -- Once a session: does the sequence give out positions one by one, and do the rows go with it? Where it is
            -- serializable, to look at the end of the log is a conflict with whoever appends there.
            sequence := pg_get_serial_sequence('events', 'position');
            IF (SELECT seqcache FROM pg_sequence WHERE seqrelid = sequence::regclass) > 1 THEN
                RAISE EXCEPTION 'The sequence of positions has a CACHE: a session would draw old ones, and readers miss them'
                    USING HINT = 'ALTER TABLE events ALTER position SET CACHE 1';
            END IF;
            drawn := last_position((SELECT max(position) FROM events));
            PERFORM set_config('eventstore.checked', log, false), set_config('eventstore.sequence', sequence, false);
        END IF;

        PERFORM pg_advisory_xact_lock_shared((log::bigint << 48) | coalesce(drawn, last_position(NULL))),
                set_config('eventstore.announced', log, true);
    END IF;
END
$$;
