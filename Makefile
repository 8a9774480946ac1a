# Names for commands. No logic lives here: each does one thing that stands in scripts/ or in cargo.
.PHONY: fmt lint test e2e bench bench-% up check soak docs

fmt: ## format the source
	cargo fmt --all

lint: ## format, clippy, documentation links, protos
	scripts/lint

test: ## every test, on SQLite and on PostgreSQL
	scripts/test

e2e: ## only the tests that drive the real binary
	scripts/test --workspace --test e2e

bench: ## every figure of docs/performance.md
	scripts/bench

bench-%: ## one of them: make bench-ingest
	scripts/bench $*

up: ## all services in one process, with a demo workspace
	cargo run --release -- dev

check: lint test ## what must pass before a change is sent

soak: ## random operations and faults for an hour
	KEIZOKU_SOAK_SECONDS=3600 scripts/test --workspace --test simulation

docs: ## write the documents that tests hold fresh anew
	KEIZOKU_UPDATE_DOCS=1 cargo test --quiet -p keizoku-tests --test tidy
