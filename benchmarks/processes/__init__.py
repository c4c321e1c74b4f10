"""Many processes and threads that write to one scope."""
