# make lab     open the kit in JupyterLab
# make update  bring the kit to a new edition; nothing that you wrote is lost
# make test    prove all of it
# make bench   measure the kit beside mature event stores
# make hub     serve the kit to a room, with JupyterHub: deploy/README.md
# make bundle  the kit and all it needs, for a day without a network

PYTHON ?= python3
RUN := .venv/bin/python

# What is in .venv/ has to work, and to be of this folder: one that was moved, copied or made half is installed again.
ifneq ($(wildcard .venv),)
ifneq ($(shell $(RUN) -Pc 'import os, pip, workshop; print(os.path.samefile(os.path.dirname(workshop.__path__[0]), "."))' 2>&1),True)
$(shell rm -f .venv/lab .venv/test .venv/hub)
endif
endif

.PHONY: lab update test bench hub bundle notebooks minutes instructors outputs mutants clean my_course

lab: .venv/lab
	$(RUN) -m workshop.opening.command $(ARGS)

update: .venv/lab
	$(RUN) -m workshop.opening.command update

# The learner's folder: laid out, not opened.
my_course: .venv/lab
	$(RUN) -m workshop.opening.command lay-out

# For each supported Python, on Linux, Windows and macOS: make bundle ARGS=/media/stick
bundle: .venv/lab .venv/bin/uv
	$(RUN) -m workshop.making.bundle $(ARGS)

# The database is chosen with --postgres=embedded|docker|url: make test ARGS=--postgres=docker
test: .venv/test
	$(RUN) -m ruff check --quiet .
	$(RUN) -m mypy
	$(RUN) -m mypy --strict eventstore
	$(RUN) -m tests $(ARGS)

# The stores that come from npm are left out where there is none: make bench ARGS="--stores limit kit eventsourcing"
bench: .venv/lab .benchmark/npm/package.json
	$(RUN) -m tests.benchmark.compare $(ARGS)

hub: .venv/hub
	$(RUN) -m jupyterhub --config=deploy/jupyterhub/jupyterhub_config.py $(ARGS)

# notebooks/ is generated from solutions/.
notebooks: minutes
	$(RUN) -m workshop.making.generate

# Minutes are calculated, and written wherever they stand.
minutes: .venv/test
	$(RUN) -m workshop.making.minutes

# What instructors read, as far as the kit knows it itself.
instructors: .venv/test
	$(RUN) -m workshop.making.instructors

# Run solutions/ and store what they show, after their text or the package changed.
outputs: .venv/test
	$(RUN) -m workshop.making.grade_cells
	$(RUN) -m nbconvert --to notebook --execute --inplace --ExecutePreprocessor.record_timing=False solutions/*.ipynb

# What the checks and the conformance tests catch, into docs/mutation-score.md: make mutants ARGS=answers, or package
mutants: .venv/test
	$(RUN) -m tests.mutants.score $(ARGS)

clean:
	rm -rf .venv .benchmark

.venv/bin/uv: | .venv/lab
	@$(PYTHON) install.py "$(shell sed -n 's/^\(uv~=[0-9.]*\).*/\1/p' requirements-dev.txt)"

.venv/lab: requirements.txt pyproject.toml install.py
	@$(PYTHON) install.py -r requirements.txt
	@touch $@

.venv/test: requirements.txt requirements-dev.txt pyproject.toml install.py
	@$(PYTHON) install.py -r requirements-dev.txt
	@touch $@ .venv/lab

.venv/hub: requirements.txt deploy/jupyterhub/requirements.txt pyproject.toml install.py
	@$(PYTHON) install.py -r deploy/jupyterhub/requirements.txt
	@npm install --prefix .venv --no-audit --no-fund --silent configurable-http-proxy@5.3 || \
		{ echo "The hub's proxy comes from npm: install Node.js and npm, then run this again."; exit 1; }
	@touch $@ .venv/lab

.benchmark/npm/package.json: tests/benchmark/stores/package.json
	@mkdir -p $(@D)
	@cp $< $@
	@! command -v npm >/dev/null || npm install --prefix $(@D) --no-audit --no-fund --silent || rm -r $(@D)/node_modules
