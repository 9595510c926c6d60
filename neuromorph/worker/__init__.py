"""Machines in another process, with an interpreter and an environment of their own, behind a pipe.

`process` and `engine` are the near side; `bootstrap`, `server` and `machine` run in the worker and need only NumPy and
the modules that read images. `frames` is what goes over the pipe; nothing in it is ever executed.
"""
