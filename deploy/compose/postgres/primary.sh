#!/usr/bin/env bash
# Runs once, when the primary's data folder is made: a user and a database for the nodes, and one for the standby.
set -euo pipefail

database_password=$(<"${DATABASE_PASSWORD_FILE:-/run/secrets/database_password}")
replication_password=$(<"${REPLICATION_PASSWORD_FILE:-/run/secrets/replication_password}")

psql --quiet --no-psqlrc --set=ON_ERROR_STOP=1 --username=postgres --dbname=postgres \
    --set=database_password="$database_password" --set=replication_password="$replication_password" <<'SQL'
CREATE ROLE mobile_bind LOGIN PASSWORD :'database_password';
-- So that /readyz and the metrics tell how far the standby is behind.
GRANT pg_monitor TO mobile_bind;
CREATE DATABASE mobile_bind OWNER mobile_bind ENCODING 'UTF8' TEMPLATE template0;
CREATE ROLE replicator LOGIN REPLICATION PASSWORD :'replication_password';
SELECT pg_create_physical_replication_slot('standby');
ALTER SYSTEM SET synchronous_commit = 'on';
ALTER SYSTEM SET max_slot_wal_keep_size = '8GB';
-- Last, and in force from the next start on: until the standby is there, every commit waits for it.
ALTER SYSTEM SET synchronous_standby_names = 'standby';
SQL

printf 'host replication replicator samenet scram-sha-256\n' >>"$PGDATA/pg_hba.conf"
