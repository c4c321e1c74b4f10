"""Text and dates of human languages: pure."""
