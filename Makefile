# `make demo` runs the main job, `make test` passes the tests; each sets up its own .venv first.
PYTHON ?= python3
PORT ?= 8000
JOBS ?= 2
BIN := .venv/bin
STAMP := .venv/.ready
CONSTRAINTS := $(CURDIR)/constraints.txt

.PHONY: demo test cover durations slow lint setup system

setup: $(STAMP)

# sam2 is a source package: its isolated build must see the same torch and must not build its CUDA part.
$(STAMP): setup.cfg pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, e.g. make PYTHON=python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	SAM2_BUILD_CUDA=0 PIP_CONSTRAINT=$(CONSTRAINTS) PIP_BUILD_CONSTRAINT=$(CONSTRAINTS) \
		$(BIN)/python -m pip install --disable-pip-version-check -q -e '.[test]'
	touch $(STAMP)

demo: $(STAMP)
	$(BIN)/uniultra demo --port $(PORT)

# Slicer's offscreen views need OpenGL, the campaign page is looked at in chromium, and labels are kept in PostgreSQL; without them those
# tests skip and say so.
system:
	@if ldconfig -p | grep -q libEGL.so.1 && ldconfig -p | grep -q 'libGL.so.1' && command -v chromium >/dev/null \
	&& ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq libegl1 libgl1 >/dev/null \
		|| echo "OpenGL could not be installed; the rendering tests will skip"; \
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null \
		|| echo "chromium could not be installed; the tests in a browser will skip"; \
		RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql >/dev/null \
		|| echo "PostgreSQL could not be installed; its tests will skip"; \
	else echo "For the rendering, browser and database tests run: sudo apt-get install libegl1 libgl1 chromium postgresql"; fi

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PYTHONPATH=lib:slicer_extension/UniUltra $(BIN)/lint-imports --no-logo

# the examples in docstrings, then the tests
test: $(STAMP) system lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q --doctest-modules lib/uniultra
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist loadfile

cover: $(STAMP) system
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist loadfile --cov --cov-report=term:skip-covered

# the slowest tests of a run, as data: tests/durations.csv
durations: $(STAMP) system
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist loadfile --record-durations tests/durations.csv

slow: $(STAMP)
	$(BIN)/python -m pytest -m slow
