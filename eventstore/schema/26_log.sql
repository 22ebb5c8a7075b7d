-- The log is every event that was ever stored, wherever it is kept now.
CREATE OR REPLACE VIEW log AS
SELECT * FROM events
UNION ALL
SELECT * FROM archived_events;
