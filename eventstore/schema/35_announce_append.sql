-- Say, before positions are drawn, behind which position they will be.
--
-- A position is drawn at the insert and seen at the commit, so a lower one can be seen after a higher one. Readers of
-- the log therefore stop before the lowest position that was announced by a transaction which is still open.
--
-- The announcement is an advisory lock, shared, so nobody waits for it. It ends with its transaction, however that
-- ends. Its key is the log (16 bits, of the table's oid) and the last position that anybody has drawn (48 bits). The
-- sequence must give out positions one by one, as an identity column does: CACHE would let a session draw old ones.
CREATE OR REPLACE FUNCTION announce_append() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    log     text := 'events'::regclass::oid;
    highest bigint;
BEGIN
    -- Once a transaction: what it draws later is higher. The setting ends with the transaction, too.
    IF current_setting('eventstore.announced', true) IS DISTINCT FROM log THEN
        IF pg_my_temp_schema() <> 0 AND EXISTS (
            SELECT FROM pg_class WHERE relnamespace = pg_my_temp_schema()
            AND relname IN ('streams', 'events', 'archived_events', 'subscriptions')
        ) THEN
            RAISE EXCEPTION 'A temporary table has the name of one of the event store''s, and is in its way'
                USING HINT = 'It would take the events, and end with the session: call it otherwise.';
        END IF;
        IF current_setting('transaction_isolation') <> 'serializable' THEN  -- where a look is a conflict with who appends
            highest := (SELECT max(position) FROM events);
        END IF;
        PERFORM pg_advisory_xact_lock_shared((log::bigint << 48) | last_position(highest)),
                set_config('eventstore.announced', log, true);
    END IF;
END
$$;
