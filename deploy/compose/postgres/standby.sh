#!/usr/bin/env bash
# Copies the primary the first time, and follows it.
set -euo pipefail

PRIMARY_HOST=${PRIMARY_HOST:-primary}
PRIMARY_PORT=${PRIMARY_PORT:-5432}
PGPASSWORD=$(<"${REPLICATION_PASSWORD_FILE:-/run/secrets/replication_password}")
export PGPASSWORD

if [ ! -s "$PGDATA/PG_VERSION" ]; then
    # The name is what the primary's synchronous_standby_names waits for. The password goes into postgresql.auto.conf.
    connection="host=$PRIMARY_HOST port=$PRIMARY_PORT user=replicator password=$PGPASSWORD application_name=standby"
    until pg_basebackup --pgdata="$PGDATA" --dbname="$connection" --slot=standby --write-recovery-conf --wal-method=stream \
        --checkpoint=fast; do
        sleep 2
    done
    chmod 0700 "$PGDATA"
fi
unset PGPASSWORD
exec postgres -c hot_standby=on "$@"
