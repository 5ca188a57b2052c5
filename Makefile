# `make demo` and `make test` each do all their own set-up; see README.md.
.PHONY: help try setup demo test check lint format bench docs site dist
.DEFAULT_GOAL := help

RUN := .venv/bin

help:
	@echo 'make try     a team, a job, a mistake and a plan in seconds, without a platform (FOLDER=: where to)'
	@echo 'make demo    the main job from end to end on this machine, up until Ctrl-C (KEEP=0: ends by itself)'
	@echo 'make test    every test, the end-to-end ones included'
	@echo 'make check   lint, types and unit tests'
	@echo 'make site    the documentation as a site, into build/site'
	@echo 'make dist    the wheel, the charts and the bill of materials of a release, into dist'
	@echo 'make bench   measure, beside peers; writes benchmarks/RESULTS.md'
	@echo 'make lint    lint and types;  make format  fixes what it can'

setup:
	@scripts/bootstrap.sh

try: setup
	@$(RUN)/python scripts/try_jobyard.py $(FOLDER)

demo: setup
	@$(RUN)/jobyard demo $(if $(filter 0,$(KEEP)),--no-keep)

test: lint
	@$(RUN)/python scripts/run_tests.py

check: lint
	@$(RUN)/pytest --quiet tests/unit

lint: setup
	@$(RUN)/ruff check
	@$(RUN)/ruff format --check
	@$(RUN)/python scripts/scan_workflow.py
	@$(RUN)/python scripts/lint_prose.py
	@$(RUN)/python scripts/check_types.py

format: setup
	@$(RUN)/ruff check --fix
	@$(RUN)/ruff format

bench:
	@scripts/bootstrap.sh --group bench
	@$(RUN)/python benchmarks

docs: setup
	@$(RUN)/python scripts/write_job_reference.py
	@$(RUN)/python scripts/write_values_reference.py
	@$(RUN)/python scripts/write_standalone_files.py

site: setup
	@$(RUN)/python scripts/build_site.py

dist: setup
	@$(RUN)/python scripts/release_artefacts.py dist
