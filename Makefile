# Two commands for a newcomer: `make demo` shows centime at work, `make test` proves it.
# They need Rust, a C compiler, make and Python 3, and share one build: it is compiled once.

CARGO_TARGET_DIR ?= $(CURDIR)/target
export CARGO_TARGET_DIR
# Python counterparts (boto3, moto, slack_sdk, DuckDB) and Prometheus live here.
COUNTERPARTS ?= $(CARGO_TARGET_DIR)/counterparts
export COUNTERPARTS

CENTIME = $(CARGO_TARGET_DIR)/debug/centime

.PHONY: help demo test quick bench docs counterparts tools

help:
	@echo "make demo      run centime against a simulated AWS data platform and show what it finds"
	@echo "make test      format, tests against real counterparts, lints, documentation"
	@echo "make quick     the tests that need nothing but Rust"
	@echo "make docs      write the generated documents anew"
	@echo "make bench     measure; figures go to docs/performance.md by hand"

tools:
	@for tool in cargo cc python3; do \
	  command -v $$tool >/dev/null || { echo "missing: $$tool. centime needs Rust (cargo), a C compiler (cc) and Python 3"; exit 1; }; \
	done

demo: tools
	@echo "Building centime. The first build compiles its dependencies and takes some ten minutes on two cores."
	cargo build --locked
	$(CENTIME) demo $(ARGS)

counterparts: tools
	@tests/tools/counterparts.sh

test: counterparts
	cargo fmt --check
	cargo build --locked --all-targets
	cargo test --locked
	cargo clippy --locked --all-targets -- --deny warnings
	RUSTDOCFLAGS="--deny warnings" cargo doc --locked --no-deps --lib

quick: tools
	cargo test --locked --lib

docs: tools
	CENTIME_UPDATE=1 cargo test --locked --lib document

# The dependencies are the ones that are there already; only centime itself is optimised anew.
# What works on rows is optimised as a release build does it; all of the engine would take half an hour.
HOT = arrow arrow-arith arrow-array arrow-buffer arrow-cast arrow-data arrow-ord arrow-row arrow-select \
  arrow-string parquet datafusion-common datafusion-datasource-parquet datafusion-functions \
  datafusion-functions-aggregate datafusion-functions-aggregate-common datafusion-physical-expr \
  datafusion-physical-expr-common datafusion-physical-plan

bench: tools
	cargo --config 'profile.dev.opt-level=3' $(foreach it,$(HOT),--config 'profile.dev.package.$(it).opt-level=3') \
	  bench --profile dev --locked $(ARGS)
