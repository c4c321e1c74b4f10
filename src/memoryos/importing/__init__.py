"""Importing: readers that turn the files of other programs into pages. They store nothing."""
