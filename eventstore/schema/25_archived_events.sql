-- The archive: events of streams that nothing will be added to. They are the same facts, with the same versions and
-- positions, in a table that appends and reads of live streams never touch.
CREATE TABLE archived_events (
    LIKE events INCLUDING CONSTRAINTS,
    PRIMARY KEY (stream_id, version)
);
CREATE INDEX ON archived_events (position);
