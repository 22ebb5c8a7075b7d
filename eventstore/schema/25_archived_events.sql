-- The archive: events of streams that nothing will be added to. They are the same facts, with the same versions and
-- positions, in a table that appends and reads of live streams never touch.
CREATE TABLE IF NOT EXISTS archived_events (
    LIKE events INCLUDING CONSTRAINTS,
    PRIMARY KEY (stream_id, version)
);

CREATE INDEX IF NOT EXISTS archived_events_by_position ON archived_events (position);

-- Since when a stream's events are here; NULL for a live one. ALTER TABLE would wait for every append that is under
-- way, and keep the next ones waiting, only to find that the column is there.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'streams'::regclass AND attname = 'archived_at') THEN
        ALTER TABLE streams ADD COLUMN archived_at timestamptz;
    END IF;
END
$$;
