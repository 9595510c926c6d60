"""Processes that Lava lacks, alone in a folder: at each compile Lava runs every file beside one."""
