"""Stores all data in one SQLite or PostgreSQL database, by SQLAlchemy Core."""
