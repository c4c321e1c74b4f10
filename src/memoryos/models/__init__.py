"""Models behind the seams."""
