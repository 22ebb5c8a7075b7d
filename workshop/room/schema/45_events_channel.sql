-- The channel on which a dashboard is told of new events, in place of the event store's own. Whoever may log in to a
-- database may listen to a channel, and notify it, if they know its name: so the owner of the room alone knows this one.
CREATE TABLE IF NOT EXISTS secret_channel (name text NOT NULL);
INSERT INTO secret_channel SELECT 'events_' || gen_random_uuid() WHERE NOT EXISTS (SELECT FROM secret_channel);

CREATE OR REPLACE FUNCTION events_channel() RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT name FROM secret_channel
$$;
