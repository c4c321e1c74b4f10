"""Dialogue in the six languages of the documentation, labelled with what answers each question."""
