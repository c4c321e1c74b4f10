"""Functions for text in human languages: words, sentences, dates, language detection. They do no I/O."""
