-- The last position that anybody has drawn, 0 where nobody has. The sequence knows: it is found by its column, for a table
-- that takes the place of another brings a sequence of another name.
--
--   highest  the highest position that the caller sees, seen before this call
--
-- It raises where that one is higher: rows came without their sequence, from a replica or a copy. Positions would be given
-- out a second time, and readers that are past them would never see those events.
CREATE OR REPLACE FUNCTION last_position(highest bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    sequence text   := pg_get_serial_sequence('events', 'position');
    last     bigint := pg_sequence_last_value(sequence);
BEGIN
    IF last IS NULL THEN  -- nobody has drawn since it was made, or set
        EXECUTE format('SELECT last_value - 1 FROM %s', sequence) INTO last;
    END IF;
    IF highest > last THEN
        RAISE EXCEPTION 'The log holds position %, and its sequence has given out only %', highest, last
            USING HINT = format('Set it before anybody appends: SELECT setval(%L, %s)', sequence, highest);
    END IF;
    RETURN last;
END
$$;
