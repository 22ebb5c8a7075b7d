-- Facts stay: the database itself refuses to change or remove an event, whoever asks.
CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'Events are facts: % on % is refused', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'ES002', HINT = 'Append an event that corrects the earlier one.';
END
$$;

DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_extension WHERE extname = 'citus') THEN
        -- Citus distributes no table that has a trigger. Privileges are the twin that works there,
        -- for every role but a superuser.
        REVOKE UPDATE, DELETE, TRUNCATE ON events FROM PUBLIC, CURRENT_USER;
    ELSE
        CREATE OR REPLACE TRIGGER facts_stay
            BEFORE UPDATE OR DELETE OR TRUNCATE ON events
            FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
    END IF;
END
$$;
