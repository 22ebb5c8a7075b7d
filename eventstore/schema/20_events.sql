-- An event is a fact: it happened in one stream, at one version, and never changes.
-- There is no foreign key to streams: append_to_stream is the one way in, it has the stream's
-- row in hand, and a foreign key would look that row up again for every event.
-- Each unique constraint includes stream_id, so the table can be partitioned or distributed by it.
CREATE TABLE events (
    stream_id   text        NOT NULL,
    version     bigint      NOT NULL CHECK (version >= 1),       -- the place in the stream: 1, 2, 3, ...
    position    bigint      NOT NULL GENERATED ALWAYS AS IDENTITY, -- the place in the whole log
    id          uuid        NOT NULL,
    type        text        NOT NULL,
    data        jsonb       NOT NULL,
    metadata    jsonb       NOT NULL CHECK (jsonb_typeof(metadata) = 'object'),
    recorded_at timestamptz NOT NULL,
    PRIMARY KEY (stream_id, version),
    UNIQUE (stream_id, id)                                       -- an event is stored once, however often it is sent
);
