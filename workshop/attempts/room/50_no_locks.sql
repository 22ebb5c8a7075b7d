-- The log tells its readers by advisory locks which appends are open, and subscriptions take one for their name.
-- Anybody who is connected to a database can take such locks in it, and so hold the readers up. Where a superuser makes
-- the room, that right is taken away; these functions belong to a superuser.
DO $$
DECLARE
    lock regprocedure;
BEGIN
    IF (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        FOR lock IN SELECT oid FROM pg_proc
                    WHERE proname ~ '^pg_(try_)?advisory_(xact_)?lock' AND pronamespace = 'pg_catalog'::regnamespace LOOP
            EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', lock);
        END LOOP;
    END IF;
END
$$;
