"""A pytest plugin that runs spiking networks on boards, and the tools around it: hardware map, locks, flashing.

pytest loads `pytest_neuromorph.plugin` in every run of everyone who has it installed. So nothing heavy is imported
before a test asks for a board.
"""
