-- An event that a subscription's handler could not handle, put aside so that the rest of the log goes on.
CREATE TABLE parked_events (
    subscription text        NOT NULL REFERENCES subscriptions ON DELETE CASCADE,
    position     bigint      NOT NULL,
    error        text        NOT NULL,
    parked_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (subscription, position)
);
