# make run: the demo. make test: every test; make test-fast: those that take under two minutes
# together. All set up .venv first, from the locked requirements.

PYTHON ?= python3
BIN := .venv/bin

.PHONY: run test test-fast test-peers check docs package demo demo-train clean

.venv/run: envs/requirements.txt envs/requirements-igv.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	test -d .venv || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --requirement envs/requirements.txt
	$(BIN)/pip install --quiet --no-deps --requirement envs/requirements-igv.txt
	$(BIN)/pip install --quiet --no-deps --editable .
	touch $@

.venv/test: .venv/run envs/requirements-test.txt
	$(BIN)/pip install --quiet --requirement envs/requirements-test.txt
	touch $@

run: .venv/run
	$(BIN)/snakemake --cores all

# Three workers on two cores, since the tests of Slurm mostly wait
test: .venv/test
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

test-fast: .venv/test
	$(BIN)/python -m pytest -m "not slow and not workflow"

# The networks and readers against the projects they come from, in an environment of their own.
.venv-peers/done: envs/requirements-peers.txt
	test -d .venv-peers || $(PYTHON) -m venv .venv-peers
	.venv-peers/bin/pip install --quiet --no-deps --requirement envs/requirements-peers.txt
	touch $@

test-peers: .venv-peers/done
	.venv-peers/bin/python -m pytest tests/peers

check: .venv/test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint

# The manual, in site/, without the network; in an environment of its own, since it needs no torch.
# The package is built there, too.
.venv-docs/done: envs/requirements-docs.txt
	test -d .venv-docs || $(PYTHON) -m venv .venv-docs
	.venv-docs/bin/pip install --quiet --no-deps --requirement envs/requirements-docs.txt
	touch $@

docs: .venv-docs/done
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --strict --quiet
	@echo "Open site/index.html in a web browser"

# Source and wheel, in dist/.
package: .venv-docs/done
	rm -rf dist build
	.venv-docs/bin/python -m build --quiet
	.venv-docs/bin/twine check --strict dist/*

demo: .venv/test
	$(BIN)/python -m demo.simulate

demo-train: .venv/test
	$(BIN)/python -m demo.train
	$(BIN)/python -m demo.train_bpnet

clean:
	rm -rf results logs .snakemake
