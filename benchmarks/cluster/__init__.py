"""Several servers and workers on one database, killed one after the other."""
