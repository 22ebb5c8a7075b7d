"""Which PostgreSQL a notebook talks to: that of DATABASE_URL, a room's, or an embedded one."""
