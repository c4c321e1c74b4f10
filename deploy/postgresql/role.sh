#!/bin/sh
# Runs once, for a new database. Creates a role without superuser rights, because row-level security does not apply to superusers.
set -eu
psql --set=ON_ERROR_STOP=1 --set=password="$MEMORYOS_PASSWORD" --username="$POSTGRES_USER" --dbname=postgres <<'SQL'
CREATE ROLE memoryos LOGIN PASSWORD :'password' NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE;
CREATE DATABASE memoryos OWNER memoryos ENCODING 'UTF8' TEMPLATE template0;
SQL
