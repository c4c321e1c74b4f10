"""Generation (§3.5): the prompt and the responder."""
