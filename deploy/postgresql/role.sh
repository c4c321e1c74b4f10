#!/bin/sh
# Runs once, when the database is new: a role that is no superuser, so that row-level security holds for it.
set -eu
psql --set=ON_ERROR_STOP=1 --set=password="$MEMORYOS_PASSWORD" --username="$POSTGRES_USER" --dbname=postgres <<'SQL'
CREATE ROLE memoryos LOGIN PASSWORD :'password' NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE;
CREATE DATABASE memoryos OWNER memoryos ENCODING 'UTF8' TEMPLATE template0;
SQL
