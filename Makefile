# make lab    open the kit in JupyterLab
# make test   prove all of it
# make bench  measure the kit beside mature event stores
# make hub    serve the kit to a room, with JupyterHub: deploy/README.md

PYTHON ?= python3
RUN := .venv/bin/python
PIP := $(RUN) -m pip --disable-pip-version-check --quiet

.PHONY: lab test bench hub notebooks outputs clean

lab: .venv/lab
	$(RUN) -m jupyterlab --config=jupyter_lab_config.py

# The database is chosen with --postgres=embedded|docker|url: make test ARGS=--postgres=docker
test: .venv/test
	$(RUN) -m ruff check --quiet .
	$(RUN) -m mypy --no-error-summary
	$(RUN) -m pytest --nbval --nbval-sanitize-with tests/nbval.cfg $(ARGS)

# The stores that come from npm are left out where there is none: make bench ARGS="--stores limit kit eventsourcing"
bench: .venv/lab .benchmark/npm/package.json
	$(RUN) -m tests.benchmark.compare $(ARGS)

hub: .venv/hub
	$(RUN) -m jupyterhub --config=deploy/jupyterhub/jupyterhub_config.py $(ARGS)

# notebooks/ is generated from solutions/.
notebooks: .venv/test
	$(RUN) -m workshop.generate

# Run solutions/ and store what they show, after their text or the package changed.
outputs: .venv/test
	$(RUN) -m workshop.grade_cells
	$(RUN) -m nbconvert --to notebook --execute --inplace --ExecutePreprocessor.record_timing=False solutions/*.ipynb

clean:
	rm -rf .venv .postgresql .benchmark

.venv/lab: requirements.txt pyproject.toml | .venv/bin/python
	@echo "Installing what JupyterLab and the kit need, once: this takes a minute or two."
	$(PIP) install -r requirements.txt
	@touch $@

.venv/test: requirements.txt requirements-dev.txt pyproject.toml | .venv/bin/python
	@echo "Installing what the tests need, once: this takes a minute or two."
	$(PIP) install -r requirements-dev.txt
	@touch $@ .venv/lab

.venv/hub: requirements.txt deploy/jupyterhub/requirements.txt pyproject.toml | .venv/bin/python
	@echo "Installing what the hub needs, once: this takes a minute or two."
	$(PIP) install -r deploy/jupyterhub/requirements.txt
	@npm install --prefix .venv --no-audit --no-fund --silent configurable-http-proxy@5.3 || \
		{ echo "The hub's proxy comes from npm: install Node.js and npm, then run this again."; exit 1; }
	@touch $@ .venv/lab

.benchmark/npm/package.json: tests/benchmark/stores/package.json
	@mkdir -p $(@D)
	@cp $< $@
	@! command -v npm >/dev/null || npm install --prefix $(@D) --no-audit --no-fund --silent || rm -r $(@D)/node_modules

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
		{ echo "The kit needs Python 3.11, 3.12 or 3.13, and $(PYTHON) is: $$($(PYTHON) --version 2>&1)."; \
		  echo "Name another one: make lab PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv .venv
