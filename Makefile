# Two commands do everything: `make reproduce` and `make test`. Each sets up .venv first if it is missing or out of date.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PROFILE ?= laptop
# where the notebooks run: a folder of profiles/
ON ?= local
# make gpu: the environment of make setup if there is one, else the machine's own Python with torch, torchvision, accelerate and torchdiffeq
GPU_PYTHON ?= $(if $(wildcard $(VENV)/.ready),$(BIN)/python,python3)
GPU_PROFILE ?= gpu
MINUTES ?= 8
PIECE ?= 540
# make test: after how many minutes a part is ended, 0 for never; what pytest runs
SETUP_MINUTES ?= 0
LINT_MINUTES ?= 0
UNIT_MINUTES ?= 0
NOTEBOOK_MINUTES ?= 0
PYTEST_ARGS ?= tests
# make setup: where torch comes from if not from PyPI, as https://download.pytorch.org/whl/cpu for a build without CUDA
TORCH_INDEX ?=
# make lab: what else JupyterLab is told
LAB_ARGS ?=
comma := ,
# two threads that wait for each other by spinning crawl on shared cores
OMP_WAIT_POLICY = passive
# text is UTF-8 whatever the locale
PYTHONUTF8 = 1
# places relative to this folder, made absolute for kernels, which start in notebooks/
from_here = $(if $(filter /%,$(firstword $(1))),$(1),$(CURDIR)/$(1))
PLACES := $(foreach name,ROOT RESULTS RUNS DATA INCEPTION,$(if $(TRAFLOW_$(name)),TRAFLOW_$(name)))
$(foreach name,$(PLACES),$(eval override $(name) := $$(call from_here,$$($(name)))))
RUNS := $(or $(TRAFLOW_RUNS),runs)
export OMP_WAIT_POLICY PYTHONUTF8 TORCH_INDEX $(PLACES)

.PHONY: help setup reproduce gpu gpu-check test lint-check test-unit test-notebooks test-slow lab coursework demo demo-test site bench lint clean
.NOTPARALLEL:

help:
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

setup: $(VENV)/.ready ## make .venv with the locked packages (a no-op when up to date; TORCH_INDEX=...: torch from there)
	@$(BIN)/python -c '' || { echo "error: $(VENV) has no working Python any more; make it anew: rm -rf $(VENV), then make setup"; exit 1; }
	@made=$$(cat $(VENV)/.ready); here=$$(pwd -P); [ "$$made" = "$$here" ] || { \
		echo "setup: $(VENV) was made in '$${made:-an unknown folder}', so its commands would run the code there: installing the kit of '$$here' in it"; \
		$(BIN)/python -m venv --without-pip $(VENV) && \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e . && \
		echo "$$here" > $(VENV)/.ready; }

$(VENV)/.ready: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "Python 3.11 or newer is needed; run make with PYTHON=python3.11"'
	@$(if $(TORCH_INDEX),echo "setup: torch comes from $(TORCH_INDEX)",echo "setup: on Linux with x86-64$(comma) 3.2 GB to fetch (torch and its CUDA libraries are 2.9 GB of it) and 6.5 GB of disk for $(VENV)")
	@[ ! -e $(VENV)/.unfinished ] || { echo "setup: an earlier one was interrupted, so $(VENV) is made anew"; rm -rf $(VENV); }
	$(PYTHON) -m venv $(VENV) && touch $(VENV)/.unfinished
	@bash .ci/timed setup $(SETUP_MINUTES) bash .ci/install $(BIN)/python
	@echo "setup: $(VENV) holds $$(du -sh $(VENV) | cut -f 1)"
	@rm $(VENV)/.unfinished
	@pwd -P > $@

reproduce: setup ## run all notebooks by papermill (PROFILE=laptop), build the tables, compare with the committed numbers
	@$(BIN)/python -m traflow_lib data fashion_mnist || echo "going on without: notebook 07 shows the committed models and statistics"
	@bash .ci/timed notebooks 0 $(BIN)/python -m snakemake --profile profiles/$(ON) --config profile=$(PROFILE)
	@$(BIN)/python -m traflow_lib tables
	@$(BIN)/python -c 'from traflow_lib.reports import notebooks; print(notebooks.durations("$(PROFILE)"))'
	@$(BIN)/python -m traflow_lib compare --profile $(PROFILE)

gpu: ## notebook 07's GPU recipe without Jupyter, in pieces of PIECE=540 seconds: call it again until it says finished
	@start=$$(date +%s); \
	timeout --signal=TERM --kill-after=40 $(PIECE) $(GPU_PYTHON) -m traflow_lib bench --recipe fashion_mnist --profile $(GPU_PROFILE); \
	status=$$?; \
	if [ $$status -eq 0 ]; then \
		$(GPU_PYTHON) -m traflow_lib tables && echo "finished: fashion_mnist at profile $(GPU_PROFILE)"; \
	elif [ $$status -eq 143 ] || [ $$(($$(date +%s) - start)) -ge $(PIECE) ]; then \
		echo "not finished: the same command goes on where this one stopped"; \
	else exit $$status; fi

gpu-check: ## speed, peak memory and rounding of every GPU recipe at full size, in 8 minutes (MINUTES=8)
	@$(GPU_PYTHON) benchmarks/gpu_check.py $(GPU_PROFILE) $(MINUTES)

test: setup lint-check test-unit test-notebooks ## setup, ruff, mypy, unit tests, then the notebooks by nbval; each says what it took

lint-check: setup ## ruff, changing nothing, and mypy
	@bash .ci/timed ruff $(LINT_MINUTES) $(BIN)/python -m ruff check .
	@bash .ci/timed mypy $(LINT_MINUTES) $(BIN)/python -m mypy

test-unit: setup ## the unit tests but the slow ones, two at a time (PYTEST_ARGS=tests/test_flow.py: only these)
	OMP_NUM_THREADS=1 bash .ci/timed "unit tests" $(UNIT_MINUTES) $(BIN)/python -m pytest $(PYTEST_ARGS) -q -n 2 -m "not slow" --durations=5

test-notebooks: setup ## run the notebooks and compare their outputs with the stored ones, two at a time
	OMP_NUM_THREADS=1 TRAFLOW_RESULTS="$$PWD/runs/nbval-results" bash .ci/timed notebooks $(NOTEBOOK_MINUTES) \
		$(BIN)/python -m pytest --nbval --nbval-current-env --nbval-cell-timeout=900 -n 2 --dist loadfile --no-loadscope-reorder notebooks -q --durations=5

test-slow: setup ## every unit test, the slow ones too
	$(BIN)/python -m pytest tests -q

lab: setup ## open JupyterLab on a working copy of the course in runs/course
	@$(BIN)/python -m traflow_lib course
	$(BIN)/python -m jupyter lab --notebook-dir "$${TRAFLOW_RUNS:-runs}/course" --LabApp.default_url=/lab/tree/00_quickstart.ipynb $(LAB_ARGS)

coursework: setup ## the lecturer's pack in runs/coursework: assignments for nbgrader (installed into .venv), solutions, a made-up class graded
	@$(BIN)/python -c 'import nbgrader' 2> /dev/null || { \
		echo "coursework: installing nbgrader in $(VENV), 25 MB to fetch"; \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint requirements.lock --no-build-isolation -e '.[coursework]'; }
	@$(BIN)/python -m course coursework

demo: setup ## the page that draws in a browser, from a file, without network: runs/demo/index.html (needs npm; installs onnx into .venv)
	@$(BIN)/python -c 'import onnx, onnxruntime, onnxscript' 2> /dev/null || { \
		echo "demo: installing onnx, onnxscript and onnxruntime in $(VENV), 40 MB to fetch"; \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint requirements.lock --no-build-isolation -e '.[demo]'; }
	@$(BIN)/python demo/build.py

demo-test: demo ## try that page in Chromium
	TRAFLOW_DEMO="$(call from_here,$(RUNS))/demo" $(BIN)/python -m pytest tests/demo -q -rs -s

site: setup ## the course as a static site in runs/site: notebooks as they are stored, documents, API (Sphinx is installed into .venv)
	@$(BIN)/python -c 'import myst_nb, furo, playwright' 2> /dev/null || { \
		echo "site: installing Sphinx and what it needs in $(VENV), 30 MB to fetch"; \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint requirements.lock --no-build-isolation -e '.[site]'; }
	@rm -rf "$(RUNS)/site" "$(RUNS)/site-cache"
	@bash .ci/timed site 0 $(BIN)/python -m sphinx -q -W --keep-going -c docs -d "$(RUNS)/site-cache" . "$(RUNS)/site"
	@rm -rf "$(RUNS)/site-cache" "$(RUNS)/jupyter_execute"
	@bash .ci/timed "looking at it" 0 $(BIN)/python docs/check_site.py "$(RUNS)/site"
	@echo "site: open $(RUNS)/site/index.html, or python3 -m http.server --directory $(RUNS)/site"

bench: setup ## search for every method's settings, then train and measure the comparisons of several seeds (CPU hours, resumable; recorded results are skipped)
	for recipe in bench_2d bench_digits; do $(BIN)/python -m traflow_lib search --recipe $$recipe || exit 1; done
	for recipe in bench_2d bench_digits 05_ablations 04_traflow_2d 06_digits fashion_mnist; do \
		$(BIN)/python -m traflow_lib bench --recipe $$recipe --profile hour || exit 1; done

lint: setup ## check and format
	$(BIN)/python -m ruff check --fix .
	$(BIN)/python -m ruff format traflow_lib course tests
	$(BIN)/python -m mypy

clean: ## remove the environment and all of runs/ (checkpoints, and this machine's own results); keeps the committed results/
	rm -rf $(VENV) runs .snakemake
