"""A worker that finds a chip: the package in `chip` stands for lava-loihi."""
