-- Since when a stream's events are in the archive; NULL for a live one.
ALTER TABLE streams ADD COLUMN archived_at timestamptz;
