"""A worker for tests: the reference machine, with faults on demand."""
