-- Facts stay: the database itself refuses to change or remove an event, whoever asks.
CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'Events are facts: % on % is refused', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'ES002', HINT = 'Append an event that corrects the earlier one.';
END
$$;

CREATE OR REPLACE TRIGGER facts_stay
    BEFORE UPDATE OR DELETE OR TRUNCATE ON events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
