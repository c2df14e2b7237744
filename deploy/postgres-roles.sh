#!/bin/sh
# Run once by the image of PostgreSQL on an empty volume: the roles of the service, and the owner of its database.
set -eu

psql --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" --set ON_ERROR_STOP=1 \
    --set owner_password="$OWNER_PASSWORD" --set service_password="$SERVICE_PASSWORD" <<'SQL'
CREATE ROLE giftcert_owner LOGIN PASSWORD :'owner_password';
CREATE ROLE giftcert_service LOGIN PASSWORD :'service_password';
CREATE ROLE giftcert_read_only;
ALTER DATABASE giftcert OWNER TO giftcert_owner;
SQL
