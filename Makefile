# Everything starts here. Needs make and Python 3.11 or newer; the rest is installed into .venv.

# The first that really runs: a version manager's empty shims are found on the path too.
PYTHON ?= $(shell for name in python3.11 python3.12 python3.13 python3; do \
  $$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$name && break; done)
BIN := .venv/bin
CATALOGUES := $(patsubst %.po,%.mo,$(wildcard translations/*/LC_MESSAGES/messages.po))

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: run demo test check catalogues clean bench-slowlink bench-fuzz bench-fanout bench-crowd bench-encode bench-uploads

run: .venv/run.stamp $(CATALOGUES)
	@TROPA_STOP_WITH_PARENT=1 exec $(BIN)/python -m supervisor run

demo: .venv/run.stamp $(CATALOGUES)
	@TROPA_STOP_WITH_PARENT=1 exec $(BIN)/python -m supervisor demo

test: .venv/dev.stamp $(CATALOGUES)
	@.ci/system-packages
	$(BIN)/python -m pytest $(ARGS)

check: .venv/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# Options go in ARGS: make bench-slowlink ARGS="--rows 64 --runs 1"
bench-slowlink: .venv/dev.stamp
	@.ci/system-packages
	$(BIN)/python -m bench.slowlink $(ARGS)

# A million made inputs for every parser of what strangers send; make bench-fuzz ARGS="--only sdp --inputs 20000"
bench-fuzz: .venv/dev.stamp
	$(BIN)/python -m bench.fuzz $(ARGS)

bench-fanout: .venv/dev.stamp
	@.ci/janus
	$(BIN)/python -m bench.fanout $(ARGS)

bench-crowd: .venv/dev.stamp
	$(BIN)/python -m bench.crowd $(ARGS)

# Clips are taken from ../shared/media where that is; make bench-encode ARGS="--only webcam --peers kolibri"
bench-encode: .venv/dev.stamp
	$(BIN)/python -m bench.encode $(ARGS)

bench-uploads: .venv/dev.stamp
	@.ci/system-packages
	$(BIN)/python -m bench.uploads $(ARGS)

# After a text in the code has changed: brings the catalogues up to date; what is new stands there empty.
catalogues: .venv/run.stamp
	@mkdir -p build
	$(BIN)/pybabel --quiet extract --mapping babel.cfg --keywords _l --keywords lazy_gettext --keywords both \
	  --project Tropa --no-location --sort-output --output-file build/messages.pot .
	$(BIN)/pybabel --quiet update --no-fuzzy-matching --ignore-obsolete --ignore-pot-creation-date --width 110 \
	  --input-file build/messages.pot --output-dir translations

clean:
	rm -rf .venv build $(CATALOGUES)

.venv/bin/python:
	@test -n "$(PYTHON)" && $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Tropa needs Python 3.11 or newer. Install it, or name it: make PYTHON=/path/to/python3.11 run"; exit 1; }
	@$(PYTHON) -m venv .venv \
	  || { rm -rf .venv; echo "Python cannot make a virtual environment. On Debian and Ubuntu: apt install python3-venv"; exit 1; }

.venv/run.stamp: requirements.txt | .venv/bin/python
	$(BIN)/pip install --quiet --requirement requirements.txt
	@touch $@

.venv/dev.stamp: requirements-dev.txt .venv/run.stamp
	$(BIN)/pip install --quiet --requirement requirements-dev.txt
	@touch $@

%.mo: %.po .venv/run.stamp
	$(BIN)/pybabel --quiet compile --input-file $< --output-file $@
