-- Facts stay, and there is one door: an event may leave its table once the other one holds it, unchanged, so that it
-- stays in the log. With that, archiving can move a stream, and still nobody can lose an event.
CREATE OR REPLACE FUNCTION refuse_loss() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM gone)
        OR EXISTS (SELECT * FROM gone EXCEPT SELECT l.* FROM log l JOIN gone USING (stream_id, version)) THEN
        RAISE EXCEPTION 'Events are facts: % on % is refused', TG_OP, TG_TABLE_NAME
            USING ERRCODE = 'ES002', HINT = 'Append an event that corrects the earlier one, or archive the whole stream.';
    END IF;
    RETURN NULL;
END
$$;

CREATE OR REPLACE TRIGGER facts_stay BEFORE UPDATE OR TRUNCATE ON events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE OR REPLACE TRIGGER facts_stay BEFORE UPDATE OR TRUNCATE ON archived_events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE OR REPLACE TRIGGER no_fact_is_lost AFTER DELETE ON events REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_loss();
CREATE OR REPLACE TRIGGER no_fact_is_lost AFTER DELETE ON archived_events REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_loss();
