-- The learners of this room, by role, and what they are called: the members of the role that may record attempts. Who
-- made that role, or this log, may be a member, too, and is no learner.
CREATE OR REPLACE VIEW learners AS
SELECT DISTINCT learner.rolname::text AS name,
       substr(shobj_description(learner.oid, 'pg_authid'), length({learner_mark}) + 1) AS called
FROM pg_proc p
CROSS JOIN LATERAL aclexplode(p.proacl) AS granted
JOIN pg_auth_members m ON m.roleid = granted.grantee AND m.member <> p.proowner AND NOT m.admin_option
JOIN pg_roles learner ON learner.oid = m.member
WHERE p.proname = 'record_attempt' AND p.pronamespace = 'room'::regnamespace AND granted.grantee <> p.proowner;
