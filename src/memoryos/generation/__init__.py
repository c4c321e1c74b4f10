"""Generates answers from recalled pages and facts (§3.5 of the paper): the prompt and the call of the analyst."""
