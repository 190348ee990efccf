-- Run once, as the owner, when the database is created.
-- broker_owner (made by the image) owns the tables and runs `broker migrate`; broker_app is whom everything else runs as.
-- It may read and write rows but change no table; what only grows it may add to, and `broker migrate` takes the rest away.

\set app_password `cat /run/secrets/app_password`
CREATE ROLE broker_app LOGIN PASSWORD :'app_password';
GRANT USAGE ON SCHEMA public TO broker_app;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO broker_app;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO broker_app;
