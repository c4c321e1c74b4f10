"""Many processes, and many threads, that write one scope of one store."""
