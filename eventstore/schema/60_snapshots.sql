-- A snapshot is a state that was worked out once, kept so that the next reader can start from it.
-- It is a cache: every row can be deleted at any time, and nothing but speed is lost.
CREATE TABLE IF NOT EXISTS snapshots (
    stream_id   text        NOT NULL,
    state_type  text        NOT NULL,
    version     bigint      NOT NULL,  -- of the last event in the state
    recorded_at timestamptz NOT NULL,  -- of the same event
    shape       text        NOT NULL,  -- which fields the state had: one of another shape is never read
    state       jsonb       NOT NULL,
    PRIMARY KEY (stream_id, state_type, version)
);
