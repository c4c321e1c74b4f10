"""Importing: readers that convert files of other programs into pages. They store nothing."""
