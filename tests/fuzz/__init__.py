"""Fuzzing of the C core by libFuzzer: ``python -m tests.fuzz``."""
