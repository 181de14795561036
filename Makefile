# Everything that a person types. `make run` and `make test` work on a fresh Debian machine.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
FUZZ_S ?= 20
MINUTES ?= 10
TESTS  ?=
READY_DEV := $(VENV)/.ready-dev
AUDITED   := $(VENV)/.audited

.PHONY: help setup run demo test fuzz lint format bench encoders players clean

help: ## what can be typed here
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): pyproject.toml constraints.txt package.json scripts/setup.sh
	PYTHON=$(PYTHON) scripts/setup.sh run
	@touch $@

$(READY_DEV): $(READY) scripts/setup.sh
	PYTHON=$(PYTHON) scripts/setup.sh dev
	@touch $@

setup: $(READY) ## install what `make run` needs

run: $(READY) ## start everything in the foreground; Ctrl-C stops it
	@exec $(BIN)/antlive serve

demo: $(READY) ## push a moving test picture to the stream that `make run` keeps ready
	@exec $(BIN)/antlive demo

# Most tests wait for live media, so three files run at a time on two cores, and a test with a clock may find the machine
# taken: it gets a second and a third try, and the summary names it.
test: $(READY_DEV) ## run the whole suite, or TESTS="tests/rtmp …"
	$(BIN)/pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder --reruns 2 -r fER $(TESTS)

fuzz: $(READY_DEV) ## fuzz everything that reads what strangers send; FUZZ_S seconds for each target
	PYTHON=$(PYTHON) scripts/setup.sh fuzz
	$(BIN)/python -m tests.fuzz $(FUZZ_S)

lint: $(READY_DEV) ## ruff and mypy, as CI runs them, and once a day a look for known vulnerabilities
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	@[ -z "$$(find $(AUDITED) -newer constraints.txt -newer package-lock.json -mtime -1 2>/dev/null)" ] || exit 0; \
		$(BIN)/python scripts/audit.py && touch $(AUDITED)

format: $(READY_DEV) ## let ruff format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY_DEV) ## measure speed against named peers
	PYTHON=$(PYTHON) scripts/setup.sh bench
	$(BIN)/python -m benchmarks

encoders: $(READY_DEV) ## push with ffmpeg, GStreamer, srt-live-transmit and OBS, over every protocol each has
	PYTHON=$(PYTHON) scripts/setup.sh encoders
	$(BIN)/python -m tests.encoders

players: $(READY_DEV) ## let hls.js, Shaka Player, video.js, ffmpeg, GStreamer and mpv play the ladder; MINUTES for each
	PYTHON=$(PYTHON) scripts/setup.sh players
	$(BIN)/python -m benchmarks.players --minutes $(MINUTES)

clean: ## remove what set-up installed here (not the data directory)
	rm -rf $(VENV) node_modules
