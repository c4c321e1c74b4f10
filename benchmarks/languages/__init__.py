"""Dialogues in the six languages of the documentation, with questions and labelled evidence."""
