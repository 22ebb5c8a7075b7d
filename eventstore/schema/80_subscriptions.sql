-- A subscription reads the log for somebody. Its row says how far: everything up to the checkpoint was handled.
CREATE TABLE subscriptions (
    name       text    PRIMARY KEY,
    checkpoint bigint  NOT NULL DEFAULT 0 CHECK (checkpoint >= 0),
    asleep     boolean NOT NULL DEFAULT false  -- whether it has to be woken: one that is busy looks again by itself
);
