-- Learners may log in here, and call two functions. Everything else is the owner's.
REVOKE ALL ON DATABASE {database} FROM PUBLIC;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA room FROM PUBLIC;
GRANT CONNECT ON DATABASE {database} TO {learners};
GRANT USAGE ON SCHEMA room TO {learners};
GRANT EXECUTE ON FUNCTION record_attempt, my_attempts TO {learners};
