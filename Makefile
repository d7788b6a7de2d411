# make test    all set-up and every check          make demo   the main job on the bundled example, with a picture
# make bench   ratios measured side by side        make soak   the long checks: mutations, fuzzers
#
# Everything is made under .venv-*, build/ and target/; a step runs again when what it depends on has changed.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
PROFILE := --release
# One set of features for every cargo command, so that Arrow and Parquet are built once.
CARGO_ALL := --workspace --locked $(PROFILE)
MUTATIONS ?= 20000
SOAK_MUTATIONS ?= 1000000
FUZZ_SECONDS ?= 300
SEED ?= 1
FUZZ_TARGETS := packets ppp slip mep tls scan text_log decode

RUST_SOURCES := Cargo.toml Cargo.lock $(shell find rust -path rust/fuzz -prune -o -type f \( -name '*.rs' -o -name Cargo.toml -o -name '*.json' \) -print)
PYTHON_SOURCES := pyproject.toml README.md $(shell find python -type f -not -name '*.so' -not -name '*.pyc')
WHEEL := build/wheel.stamp
PURE := build/pure.stamp
PYTEST := -m pytest -q -n auto tests

.PHONY: help test lint lint-rust lint-python test-rust test-python mutations generate demo bench soak fuzz clean wheel sdist

help:
	@sed -n '1,3p' Makefile

# --- environments: full has every tool and library, bare is what `pip install osgp-fast` gives, pure has no compiled part

pip = $(1)/bin/python -m pip install --quiet --upgrade

.venv-%/made: pyproject.toml
	$(PYTHON) -m venv --clear $(@D)
	$(call pip,$(@D)) 'pip>=25.1'
	$(call pip,$(@D)) $(foreach g,$(GROUPS_$*),--group $(g))
	touch $@

GROUPS_full := build lint test interop libraries peers
GROUPS_bare := test
GROUPS_pure := test
GROUPS_pure-arrow := test arrow
GROUPS_demo := build demo
GROUPS_bench := build bench

# --- the wheels

wheel: $(WHEEL)
$(WHEEL): .venv-full/made $(RUST_SOURCES) $(PYTHON_SOURCES)
	rm -rf build/wheel && mkdir -p build/wheel
	.venv-full/bin/maturin build $(PROFILE) --locked --out build/wheel
	touch $@

$(PURE): $(WHEEL) packaging/pure_wheel.py
	rm -rf build/pure
	$(PYTHON) packaging/pure_wheel.py build/wheel/*.whl build/pure
	touch $@

sdist: .venv-full/made
	.venv-full/bin/maturin sdist --out build/sdist

# Twice: with what it depends on, and again so that a new build of the same version replaces the old one.
install = $(1)/bin/python -m pip install --quiet $(2) && \
  $(1)/bin/python -m pip install --quiet --force-reinstall --no-deps $(2) && touch $@
.venv-full/wheel: .venv-full/made $(WHEEL)
	$(call install,.venv-full,build/wheel/*.whl)
.venv-bare/wheel: .venv-bare/made $(WHEEL)
	$(call install,.venv-bare,build/wheel/*.whl)
	.venv-bare/bin/python -m pip check
.venv-pure/wheel: .venv-pure/made $(PURE)
	$(call install,.venv-pure,build/pure/*.whl)
.venv-pure-arrow/wheel: .venv-pure-arrow/made $(PURE)
	$(call install,.venv-pure-arrow,build/pure/*.whl)

# --- checks

test: lint test-rust mutations test-python

lint: lint-rust lint-python
lint-rust:
	cargo fmt --all --check
	cargo clippy $(CARGO_ALL) --all-targets -- -D warnings
lint-python: .venv-full/made .venv-full/wheel
	.venv-full/bin/ruff check
	.venv-full/bin/ruff format --check
	.venv-full/bin/mypy -p osgp_fast
	.venv-full/bin/python -m mypy.stubtest osgp_fast._core --mypy-config-file pyproject.toml

test-rust:
	cargo test $(CARGO_ALL) --quiet

mutations: .venv-full/wheel
	.venv-full/bin/python tests/mutate.py --count $(MUTATIONS) --seed $(SEED)
	.venv-full/bin/python tests/mutate.py --count $$(($(MUTATIONS) / 20)) --seed $(SEED) --twins

# Against the installed wheel, never the source tree. OSGP_FAST_EXPECT names what the environment is meant to be
# (implementation, compiled part, pyarrow); tests/test_installed.py fails where it is something else.
test-python: .venv-full/wheel .venv-bare/wheel .venv-pure/wheel .venv-pure-arrow/wheel
	OSGP_FAST_EXPECT=python,pure,no-pyarrow .venv-pure/bin/python $(PYTEST)
	OSGP_FAST_EXPECT=python,pure,pyarrow .venv-pure-arrow/bin/python $(PYTEST) -m 'not once'
	OSGP_FAST_EXPECT=rust,compiled,no-pyarrow .venv-bare/bin/python $(PYTEST) -m 'not once'
	OSGP_FAST_IMPL=python OSGP_FAST_EXPECT=python,compiled,pyarrow .venv-full/bin/python $(PYTEST) -m 'not once'
	OSGP_FAST_EXPECT=rust,compiled,pyarrow .venv-full/bin/python $(PYTEST)

# --- files that are written by programs, and checked in

generate: .venv-full/made
	PYTHONPATH=python .venv-full/bin/python -m osgp_fast.catalog rust/osgp/src/catalog/catalog.json
	.venv-full/bin/python tools/reject_codes.py
	PYTHONPATH=python OSGP_FAST_IMPL=python .venv-full/bin/python tools/table_pages.py

# --- the demo

.venv-demo/wheel: .venv-demo/made $(RUST_SOURCES) $(PYTHON_SOURCES)
	rm -rf build/demo && mkdir -p build/demo
	.venv-demo/bin/maturin build $(PROFILE) --locked --out build/demo
	$(call install,.venv-demo,build/demo/*.whl)

demo: .venv-demo/wheel
	rm -rf demo-out && mkdir demo-out
	.venv-demo/bin/osgp-fast decode demo/example.zip --delta -o demo-out/
	.venv-demo/bin/osgp-fast decode demo/example.zip
	.venv-demo/bin/python demo/plot.py demo-out/load_profile.parquet demo-out/day.png
	@echo
	@ls -l demo-out
	@echo "The table of readings is demo-out/load_profile.parquet, the picture of a day is demo-out/day.png"

# --- benchmarks and long checks

.venv-bench/wheel: .venv-bench/made $(RUST_SOURCES) $(PYTHON_SOURCES)
	rm -rf build/bench-wheel && mkdir -p build/bench-wheel
	.venv-bench/bin/maturin build $(PROFILE) --locked --out build/bench-wheel
	$(call install,.venv-bench,build/bench-wheel/*.whl)

bench: .venv-bench/wheel
	.venv-bench/bin/python benches/bench.py $(BENCH_ARGS)

soak: .venv-full/wheel
	.venv-full/bin/python tests/mutate.py --count $(SOAK_MUTATIONS) --seed $(SEED)
	.venv-full/bin/python tests/mutate.py --count $$(($(SOAK_MUTATIONS) / 100)) --seed $(SEED) --twins
	HYPOTHESIS_PROFILE=soak .venv-full/bin/python $(PYTEST)
	$(MAKE) fuzz

# cargo-fuzz needs a nightly compiler. The targets state their invariants (rust/fuzz/fuzz_targets).
fuzz:
	cargo fuzz --version >/dev/null 2>&1 || cargo install --locked cargo-fuzz
	$(PYTHON) rust/fuzz/seeds.py
	for target in $(FUZZ_TARGETS); do \
	  cargo +nightly fuzz run --fuzz-dir rust/fuzz $$target -- \
	    -max_total_time=$(FUZZ_SECONDS) -max_len=65536 -rss_limit_mb=1024 -timeout=10; \
	done

clean:
	rm -rf .venv-* build demo-out
