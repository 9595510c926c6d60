# Every target sets up what it needs in .venv: on a machine with Python >= 3.10 and make, nothing comes first.
# `make PYTHON=python3.12 ...` chooses the interpreter that .venv is made from.

PYTHON ?=
# One worker more than there are processors: some tests wait for boards that run in real time.
WORKERS := $(shell expr $$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1) + 1)
PYTEST_FLAGS ?= -n $(WORKERS) --maxprocesses 8 --dist worksteal
HIL_FLAGS ?= -n 2
BIN := .venv/bin

.PHONY: demo test hil build lint lint-python lint-types lint-c bench mutation soak store-power fuzz coverage docs test-pythons clean

demo: .venv/.use build
	$(BIN)/python -m neuromorph demo

test: .venv/.dev build
	$(BIN)/pytest $(PYTEST_FLAGS)

# The suite of boards, on all that run in this computer; HIL_FLAGS="-n 2 --nm-target all" for QEMU's too.
hil: .venv/.dev build
	$(BIN)/pytest hil $(HIL_FLAGS)

build: .venv/.use
	@$(BIN)/python firmware/build.py

# `make -k lint` goes on to the next after a complaint.
lint: lint-python lint-types lint-c

lint-python: .venv/.dev
	$(BIN)/ruff check

lint-types: .venv/.dev
	$(BIN)/mypy

lint-c:
	@sh scripts/lint-c

bench: .venv/.use build
	$(BIN)/python -m neuromorph bench

# The generated pages of docs/reference/, the gallery from its kept results, and the outputs that pages show.
docs: .venv/.use build
	$(BIN)/python docs/generate.py
	$(BIN)/python docs/gallery.py --page
	$(BIN)/python docs/blocks.py --update

# Small changes to the C engine that the tests must notice.
mutation: .venv/.dev
	$(BIN)/python -m tests.mutation.mutate

# A million frames over bad lines, updates cut at every byte, a million bad frames to the host; ten thousand frames over
# bad lines to boards in real time (QEMU among them); hosts that go away, or stall for 30 s; ports that are closed and
# opened again; resets after each frame of an update; a billion bytes to both parsers of frames; each pair of wrong
# lengths in an image; bad images to a board in QEMU: fifty minutes.
soak: .venv/.dev
	$(BIN)/python -m tests.mcu.soak
	$(BIN)/python -m tests.mcu.resets
	$(BIN)/python -m tests.mcu.test_hostile
	$(BIN)/python -m tests.mcu.soak_boards
	$(BIN)/python -m tests.mcu.line_rate
	$(BIN)/python -m tests.mcu.hosts
	$(BIN)/python -m tests.mcu.reconnects
	$(BIN)/python -m tests.mcu.frame_resets
	$(BIN)/python -m tests.mcu.frame_parser
	$(BIN)/python -m tests.system.lengths
	$(BIN)/python -m tests.mcu.bad_images

# The C core under libFuzzer with sanitizers, the same way each time; FUZZ_FLAGS="--seconds 3600 --keep" for new ways.
FUZZ_FLAGS ?= --seconds 60 --seed 1
fuzz: .venv/.dev
	$(BIN)/python -m tests.fuzz $(FUZZ_FLAGS)

# Branches of the board's link and of the verifier that tests take, by gcc and gcov: all.
coverage: .venv/.dev
	$(BIN)/python -m tests.cover

# Loss of power in each flash operation of updates and saves, and in pairs; bytes of the flash that turn; resets of a
# board in mid-update: half an hour.
store-power: .venv/.dev
	$(BIN)/python -m tests.mcu.power
	$(BIN)/python -m tests.mcu.power --board 200

# The wheel, on every other Python that this machine has.
test-pythons: .venv/.dev build
	@sh scripts/test-pythons

clean:
	rm -rf build dist backends/neuromorph_cpu/_lib backends/neuromorph_mcu/_firmware
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis

# One environment in two stages: to use neuromorph, and to work on it.
.venv/.use: pyproject.toml hatch_build.py scripts/setup
	@PYTHON='$(PYTHON)' sh scripts/setup use

.venv/.dev: .venv/.use
	@sh scripts/setup dev
