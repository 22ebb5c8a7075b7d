-- Facts stay, and there is one door: an event may leave its table once the other one holds it, unchanged, so that it
-- stays in the log. With that, archiving can move a stream, and still nobody can lose an event.
CREATE OR REPLACE FUNCTION refuse_loss() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM gone)
        OR EXISTS (SELECT * FROM gone EXCEPT SELECT l.* FROM log l JOIN gone USING (stream_id, version)) THEN
        RAISE EXCEPTION 'Events are facts: % on % is refused', TG_OP, TG_TABLE_NAME
            USING ERRCODE = 'ES002', HINT = 'Append an event that corrects the earlier one, or archive the whole stream.';
    END IF;
    RETURN NULL;
END
$$;

DO $$
DECLARE
    facts regclass;
BEGIN
    FOREACH facts IN ARRAY ARRAY['events', 'archived_events']::regclass[] LOOP
        EXECUTE format('CREATE OR REPLACE TRIGGER facts_stay BEFORE UPDATE OR TRUNCATE ON %s'
                       ' FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()', facts);
        EXECUTE format('CREATE OR REPLACE TRIGGER no_fact_is_lost AFTER DELETE ON %s'
                       ' REFERENCING OLD TABLE AS gone'
                       ' FOR EACH STATEMENT EXECUTE FUNCTION refuse_loss()', facts);
    END LOOP;
END
$$;
