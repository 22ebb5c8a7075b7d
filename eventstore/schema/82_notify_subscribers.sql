-- The channel on which subscribers to this log are told of new events.
CREATE OR REPLACE FUNCTION events_channel() RETURNS text LANGUAGE sql STABLE AS $$
    SELECT 'events_' || 'events'::regclass::oid
$$;

-- Wake the subscribers that are asleep, when this transaction commits.
--
-- NOTIFY has transactions commit one after the other, whatever they wrote. So it is left out where nobody is asleep,
-- and that is just when there is much to do. Call it after the events are written: a subscriber says that it falls
-- asleep, and then looks once more. So either we see that it sleeps, or it sees that we have drawn a position.
CREATE OR REPLACE FUNCTION notify_subscribers() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    -- Above READ COMMITTED we see the subscriptions of when the transaction began.
    IF current_setting('transaction_isolation') NOT LIKE 'read %' OR EXISTS (SELECT FROM subscriptions WHERE asleep) THEN
        PERFORM pg_notify(events_channel(), '');
    END IF;
END
$$;
