"""Benchmarks: speed of the engines on four networks (`measure`), cost of the board's kernels (`kernels`)."""
