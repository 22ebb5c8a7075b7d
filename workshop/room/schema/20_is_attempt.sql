-- Whether an event is one that this room takes: a known type, with the fields of that type and no others, each of
-- the form and size that the kit itself would send. A learner can call record_attempt by hand, and decides how a
-- backslash in this text is read: so there is none.
CREATE OR REPLACE FUNCTION is_attempt(type text, data jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(
        jsonb_typeof(data) = 'object'
        AND CASE WHEN type IN ('OutcomePredicted', 'OutcomeSeen') THEN
            jsonb_typeof(data -> 'prediction_id') = 'string' AND data ->> 'prediction_id' ~ '^[0-9]{2}[.][A-Z]$'
        ELSE
            jsonb_typeof(data -> 'exercise_id') = 'string' AND data ->> 'exercise_id' ~ '^[0-9]{2}[.][0-9]{1,2}$'
        END
        AND CASE type
            WHEN 'ExercisePassed' THEN
                data - ARRAY['exercise_id', 'attempt'] = '{}' AND (data -> 'attempt')::text ~ '^[1-9][0-9]{0,5}$'
            WHEN 'ExerciseFailed' THEN
                data - ARRAY['exercise_id', 'attempt', 'failed_check'] = '{}'
                AND (data -> 'attempt')::text ~ '^[1-9][0-9]{0,5}$'
                AND jsonb_typeof(data -> 'failed_check') = 'string'
                AND char_length(data ->> 'failed_check') BETWEEN 1 AND {longest_check}
            WHEN 'AnswerShared' THEN
                data - ARRAY['exercise_id', 'answer'] = '{}'
                AND jsonb_typeof(data -> 'answer') = 'string'
                AND char_length(data ->> 'answer') BETWEEN 1 AND {longest_answer}
            WHEN 'OutcomePredicted' THEN
                data - ARRAY['prediction_id', 'expected'] = '{}'
                AND jsonb_typeof(data -> 'expected') = 'string'
                AND char_length(data ->> 'expected') BETWEEN 1 AND {longest_outcome}
            WHEN 'OutcomeSeen' THEN
                data - ARRAY['prediction_id', 'came'] = '{}'
                AND jsonb_typeof(data -> 'came') = 'string'
                AND char_length(data ->> 'came') BETWEEN 1 AND {longest_outcome}
        END, false)
$$;
