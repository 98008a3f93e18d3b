# The commands of daily work. They need Python 3.11-3.13, make and nothing else: bin/install makes .venv and fills it.

.DEFAULT_GOAL := help
.PHONY: help run test chaos lint format bench backup restore
.NOTPARALLEL:

PYTHON := .venv/bin/python

help: ## show this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | while IFS="$$(printf '\t')" read -r name text; do printf 'make %-8s %s\n' "$$name" "$$text"; done

run: ## start web, queue and, without an account, the sandbox (PORT=8001 SANDBOX_PORT=8788 take others)
	@bin/install
	@exec $(PYTHON) manage.py dev --port $(or $(PORT),8000) --sandbox-port $(or $(SANDBOX_PORT),8787)

backup: ## write database and private files into one dated archive (TO=/another/folder)
	@bin/install
	@exec $(PYTHON) manage.py backup $(if $(TO),--to "$(TO)")

restore: ## put an archive back into an empty database (FROM=backups/tripbuilder-….tar.gz)
	@bin/install
	@exec $(PYTHON) manage.py restore $(if $(FROM),"$(FROM)",--help)

test: ## run every test, on SQLite and on PostgreSQL where one answers (ARGS="-k trip" goes to pytest)
	@bin/install dev
	@exec $(PYTHON) tests/run.py $(ARGS)

chaos: ## long random runs of the sync under every fault (SEEDS=1-200 STEPS=500 DATABASE=postgresql BROKER=redis JOBS=2)
	@bin/install dev
	@exec $(PYTHON) -m tests.chaos --seeds $(or $(SEEDS),1-20) --steps $(or $(STEPS),500) --database $(or $(DATABASE),sqlite) --broker $(or $(BROKER),database) --jobs $(or $(JOBS),1) $(if $(MODE),--mode $(MODE))

lint: ## check style, types, what bandit warns of, and which module may import which
	@bin/install dev
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy tripbuilder trips ghl_sync
	$(PYTHON) -m bandit --quiet --recursive tripbuilder trips ghl_sync
	$(PYTHON) -c "from importlinter.cli import lint_imports_command; lint_imports_command()"

format: ## rewrite the code in the house style
	@bin/install dev
	$(PYTHON) -m ruff check --fix .
	$(PYTHON) -m ruff format .

bench: ## measure speed and calls against their targets, some seven minutes (ARGS="--only pull" narrows)
	@bin/install dev
	@exec $(PYTHON) -m bench $(ARGS)
