-- Whether an event is one that this room takes: a known type, with the fields of that type and no others, each of
-- the form and size that the kit itself would send. A learner can call record_attempt by hand.
CREATE OR REPLACE FUNCTION is_attempt(type text, data jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(
        jsonb_typeof(data) = 'object'
        AND jsonb_typeof(data -> 'exercise_id') = 'string' AND data ->> 'exercise_id' ~ '^\d\d\.\d{1,2}$'
        AND CASE type
            WHEN 'ExercisePassed' THEN
                data - ARRAY['exercise_id', 'attempt'] = '{}' AND (data -> 'attempt')::text ~ '^[1-9]\d{0,5}$'
            WHEN 'ExerciseFailed' THEN
                data - ARRAY['exercise_id', 'attempt', 'failed_check'] = '{}'
                AND (data -> 'attempt')::text ~ '^[1-9]\d{0,5}$'
                AND jsonb_typeof(data -> 'failed_check') = 'string'
                AND char_length(data ->> 'failed_check') BETWEEN 1 AND {longest_check}
            WHEN 'AnswerShared' THEN
                data - ARRAY['exercise_id', 'answer'] = '{}'
                AND jsonb_typeof(data -> 'answer') = 'string'
                AND char_length(data ->> 'answer') BETWEEN 1 AND {longest_answer}
        END, false)
$$;
