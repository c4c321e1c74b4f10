"""Measures and checks many processes and threads that write to one memory."""
