# Two commands set everything up on a fresh machine: `make repro` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# DVC and the stages find their programs on the path, whichever shell calls them
export PATH := $(CURDIR)/$(BIN):$(PATH)

.DEFAULT_GOAL := help
.PHONY: help install repro test test-quick lint plots dag experiments docs requirements
# A test process per core, each with one thread (tests/conftest.py); more than eight would mostly wait for memory. A
# file's tests stay in one process, which makes once what they share
SIDE_BY_SIDE := --numprocesses logical --maxprocesses 8 --dist loadfile --no-loadscope-reorder

help:  ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

install: $(BIN)/.installed  ## create .venv with the pinned packages and this one; repro, test and plots do so, too

repro: $(BIN)/.installed  ## run the whole pipeline (params.yaml; the embedded default downloads no data)
	dvc repro

test: $(BIN)/.installed-dev  ## run all tests
	python -m pytest $(SIDE_BY_SIDE)

test-quick: $(BIN)/.installed-dev  ## run all tests but the slow ones: two to three minutes on two cores
	python -m pytest $(SIDE_BY_SIDE) -m "not slow"

plots: $(BIN)/.installed  ## the curves and pictures of `dvc plots show` as a page that needs no network: dvc_plots/index.html
	python -m trcgl.report.plots_page .venv/plots_page.html
	dvc config --local plots.html_template ../.venv/plots_page.html
	dvc plots show

dag: $(BIN)/.installed  ## the pipeline's stages on one screen: `dvc dag` without the arrows that follow from others
	python -m trcgl.setup.stage_graph

# A column per headline figure, and per knob in which the experiments differ: all 306 columns are more than a terminal has
SHOWN := Experiment$$|trcgl\.(tail_)?mAP$$|(gain|val)\.tail_mAP$$
KNOBS := (dataset|labels|images|graph|diffusion|sampling|audit|baseline|classifier|evaluation|compute)\.
FIGURES := baseline\.(\w*m(AP|AUC|F1)|ECE)$$|images\.(train|val|test)$$

experiments: $(BIN)/.installed  ## a table of the experiments: headline figures, and the knobs in which they differ
	dvc exp show --no-pager --only-changed --drop '^(?!$(SHOWN)|$(KNOBS))|^($(FIGURES))'

lint: $(BIN)/.installed-dev  ## ruff and pyright
	ruff check .
	ruff format --check .
	pyright

docs: $(BIN)/.installed-docs  ## build the documentation into site/
	mkdocs build

requirements:  ## compile the pinned requirements from the .in files (needs uv)
	uv pip compile -q --no-emit-index-url --no-emit-find-links --custom-compile-command "make requirements" requirements.in -o requirements.txt
	uv pip compile -q --no-emit-index-url --no-emit-find-links --custom-compile-command "make requirements" requirements-dev.in -o requirements-dev.txt
	uv pip compile -q --no-emit-index-url --no-emit-find-links --custom-compile-command "make requirements" requirements-docs.in -o requirements-docs.txt

# Installed again only when the requirements or the package's metadata changed
$(BIN)/.installed: requirements.txt pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --requirement requirements.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

$(BIN)/.installed-dev: $(BIN)/.installed requirements-dev.txt
	$(BIN)/python -m pip install --quiet --requirement requirements-dev.txt
	touch $@

# The pages are made of the sources' text: nothing that the project imports is needed
$(BIN)/.installed-docs: requirements-docs.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --requirement requirements-docs.txt
	touch $@
