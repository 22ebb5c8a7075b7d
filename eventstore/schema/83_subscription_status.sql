-- How far behind the log each subscription is. A function asks the log: on Citus no view joins it with a local table.
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
