-- Read the log in the order of positions, and no further than it is settled.
--
--   after      the checkpoint: the last position that the reader has seen, 0 for none
--   max_count  how many events at most
--   category   only streams of this category: the part of their id before the first dash
--   types      only events of these types
--   up_to      what settled_position returned, for a reader who has asked already: beyond it, events would be skipped
CREATE OR REPLACE FUNCTION read_all(
    after bigint DEFAULT 0, max_count bigint DEFAULT NULL,
    category text DEFAULT NULL, types text[] DEFAULT NULL, up_to bigint DEFAULT NULL
) RETURNS SETOF events
LANGUAGE plpgsql
SET enable_sort = off  -- the index brings the order: without statistics, all the rest of the log would be sorted instead
AS $$
BEGIN
    up_to := coalesce(up_to, (SELECT settled FROM settled_position()));

    RETURN QUERY
    SELECT l.*
    FROM log l
    WHERE l.position > after AND l.position <= up_to
      AND (category IS NULL OR split_part(l.stream_id, '-', 1) = category)
      AND (types IS NULL OR l.type = ANY (types))
    ORDER BY l.position
    LIMIT max_count;
END
$$;
