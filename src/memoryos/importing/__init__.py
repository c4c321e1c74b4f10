"""Converts files of other programs, e.g. chat exports, into pages. The functions of this package store nothing."""
