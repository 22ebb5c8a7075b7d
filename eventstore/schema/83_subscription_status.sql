-- How far behind the log each subscription is.
CREATE OR REPLACE VIEW subscription_status AS
SELECT s.name, s.checkpoint,
       behind.events                                                            AS events_behind,
       coalesce(extract(epoch FROM clock_timestamp() - behind.oldest), 0)       AS seconds_behind,
       (SELECT count(*) FROM parked_events p WHERE p.subscription = s.name)     AS events_parked
FROM subscriptions s
CROSS JOIN LATERAL (
    SELECT count(*) AS events, min(l.recorded_at) AS oldest FROM log l WHERE l.position > s.checkpoint
) behind;
