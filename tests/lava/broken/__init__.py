"""A worker whose Lava has a model that raises."""
