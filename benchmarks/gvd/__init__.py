"""GVD, the second data set of the paper."""
