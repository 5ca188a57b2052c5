# `make demo` and `make test` each do all their own set-up; see README.md.
.PHONY: help try setup demo test check lint format bench docs site dist golden coverage random-jobs screenshots
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
	@echo 'make golden  renew the golden files; review the difference with git before you commit it'
	@echo 'make coverage     the unit tests, with the lines and branches that they miss'
	@echo 'make random-jobs  JOBS=5000 random jobs through the check and each Airflow'
	@echo 'make screenshots  the views of the metrics page, drawn from made-up data, into build/screenshots'

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
	@PYTHONPATH=images/metrics:. $(RUN)/python benchmarks

docs: setup
	@$(RUN)/python scripts/write_job_reference.py
	@$(RUN)/python scripts/write_rule_reference.py
	@$(RUN)/python scripts/write_values_reference.py
	@$(RUN)/python scripts/write_standalone_files.py

site: setup
	@$(RUN)/python scripts/build_site.py

dist: setup
	@$(RUN)/python scripts/release_artefacts.py dist

golden: setup
	@JOBYARD_UPDATE_GOLDEN=1 $(RUN)/pytest --quiet -m golden tests/unit tests/iam tests/charts
	@git status --short -- tests

coverage: setup
	@$(RUN)/coverage run -m pytest --quiet tests/unit tests/iam
	@$(RUN)/coverage report

random-jobs: setup
	@JOBYARD_RANDOM_JOBS=$(or $(JOBS),5000) $(RUN)/pytest tests/airflow/test_accepted_jobs.py -k what_the_check_accepts

screenshots: setup
	@PYTHONPATH=.:images/metrics $(RUN)/python tests/page/made_up_page.py build/metrics-page
	@PYTHONPATH=scripts $(RUN)/python scripts/screenshots.py build/metrics-page build/screenshots
