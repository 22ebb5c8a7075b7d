-- A snapshot is a state that was worked out once, kept so that the next reader can start from it.
-- It is a cache: every row can be deleted at any time, and nothing but speed is lost.
CREATE TABLE snapshots (
    stream_id   text        NOT NULL,
    state_type  text        NOT NULL,  -- one stream can be folded into several states
    shape       text        NOT NULL,  -- what the state was made of: one of another shape is never read
    version     bigint      NOT NULL,  -- of the last event in the state
    recorded_at timestamptz NOT NULL,  -- of the same event
    state       json        NOT NULL,  -- not jsonb, which would sort keys and rewrite numbers
    PRIMARY KEY (stream_id, state_type, shape, version)
);
