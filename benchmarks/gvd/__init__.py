"""GVD, the second benchmark of the paper."""
