-- The channel on which subscribers to this log are told of new events.
CREATE OR REPLACE FUNCTION events_channel() RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT 'events_' || 'events'::regclass::oid
$$;

-- Wake the subscribers when this transaction commits.
--
-- Call it after the events are written. Where nobody has subscribed yet, nobody pays: NOTIFY has transactions commit
-- one after the other, whatever they wrote. A subscriber who registers meanwhile sees the append announced, and waits.
CREATE OR REPLACE FUNCTION notify_subscribers() RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM subscriptions) THEN
        PERFORM pg_notify(events_channel(), '');
    END IF;
END
$$;
