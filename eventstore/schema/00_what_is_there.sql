-- What of this schema is there already, by the names of the files that make it. create_schema leaves that alone: whoever
-- asks by CREATE ... IF NOT EXISTS locks the table, waits for every append under way, and keeps the next ones waiting.
-- A table can be swapped for another one. Then its index has a name of its own, and a view goes on showing the old table.
CREATE OR REPLACE FUNCTION what_is_there() RETURNS SETOF name LANGUAGE sql STABLE AS $$
    WITH ours AS (
        SELECT c.oid, relname, relkind FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
        WHERE nspname = current_schema()
    )
    SELECT relname FROM ours
    WHERE relkind IN ('r', 'p')
        OR relkind = 'v' AND pg_get_viewdef(oid) ~ '\mevents\M.*\marchived_events\M|\msubscriptions s\s.*\mevents_behind\('
    UNION ALL SELECT attname FROM pg_attribute JOIN ours ON attrelid = ours.oid WHERE relname = 'streams'
    UNION ALL SELECT 'events_by_position' FROM ours JOIN pg_attribute ON attrelid = oid JOIN pg_index ON indrelid = oid
    WHERE relname = 'events' AND attname = 'position' AND indkey[0] = attnum
    UNION ALL SELECT tgname FROM pg_trigger JOIN ours ON tgrelid = ours.oid
    WHERE relname IN ('events', 'archived_events') GROUP BY tgname HAVING count(*) = 2
    UNION ALL  -- Citus distributes no table that has a trigger: there, and only there, 95_citus.sql takes their place
    SELECT unnest('{facts_stay, no_fact_is_lost}'::name[]) FROM pg_extension WHERE extname = 'citus'
    UNION ALL SELECT 'citus' WHERE NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'citus')
$$;
