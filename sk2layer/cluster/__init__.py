"""Rows on a cluster of Dask: one more source of rows, handed to the estimators from above."""
