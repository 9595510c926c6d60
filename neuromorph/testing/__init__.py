"""Tools to test an engine: random programs, equality with `cpu:ref`, what the programs have reached."""
