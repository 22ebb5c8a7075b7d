-- For those who read the log from a checkpoint. It is not unique: a unique index would have to include stream_id.
CREATE INDEX ON events (position);
