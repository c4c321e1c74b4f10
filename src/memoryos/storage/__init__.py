"""Storage (§3.2): one store on SQLAlchemy Core."""
