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
PIECE ?= 540
# two threads that wait for each other by spinning crawl on shared cores
export OMP_WAIT_POLICY = passive

.PHONY: help setup reproduce gpu test test-slow lab notebooks bench lint clean

help:
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(VENV)/.ready ## make .venv with the locked packages (a no-op when up to date)

$(VENV)/.ready: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "Python 3.11 or newer is needed; run make with PYTHON=python3.11"'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

reproduce: setup ## run all notebooks by papermill (PROFILE=laptop, ON=local or slurm), build the tables, print the main ones
	$(BIN)/snakemake --profile profiles/$(ON) --config profile=$(PROFILE)
	$(BIN)/python -m traflow_lib tables --show $(PROFILE)
	@$(BIN)/python -c 'from traflow_lib import notebooks; print(notebooks.durations("$(PROFILE)"))'

gpu: ## notebook 07's GPU recipe without Jupyter, in pieces of PIECE=540 seconds: call it again until it says finished
	@start=$$(date +%s); \
	timeout --signal=TERM --kill-after=40 $(PIECE) $(GPU_PYTHON) -m traflow_lib bench --recipe fashion_mnist --profile $(GPU_PROFILE); \
	status=$$?; \
	if [ $$status -eq 0 ]; then \
		$(GPU_PYTHON) -m traflow_lib tables --show $(GPU_PROFILE) && echo "finished: fashion_mnist at profile $(GPU_PROFILE)"; \
	elif [ $$status -eq 143 ] || [ $$(($$(date +%s) - start)) -ge $(PIECE) ]; then \
		echo "not finished: the same command goes on where this one stopped"; \
	else exit $$status; fi

test: setup ## ruff, unit tests, then the notebooks by nbval, two at a time
	$(BIN)/ruff check .
	OMP_NUM_THREADS=1 $(BIN)/pytest tests -q -n 2 -m "not slow" --durations=5
	OMP_NUM_THREADS=1 TRAFLOW_RESULTS=$(abspath runs/nbval-results) \
		$(BIN)/pytest --nbval --nbval-current-env --nbval-cell-timeout=900 -n 2 --dist loadfile --no-loadscope-reorder notebooks -q --durations=5

test-slow: setup ## every unit test, the slow ones too
	$(BIN)/pytest tests -q

lab: setup ## open JupyterLab on the notebooks
	$(BIN)/jupyter lab --notebook-dir notebooks

notebooks: ## after `make reproduce`: store the executed notebooks (with outputs) in notebooks/
	$(BIN)/python -m traflow_lib store --profile laptop

bench: setup ## train and measure the committed comparisons (CPU hours, resumable; recorded results are skipped)
	for recipe in bench_2d bench_digits 05_ablations 04_traflow_2d 06_digits fashion_mnist; do \
		$(BIN)/python -m traflow_lib bench --recipe $$recipe --profile hour || exit 1; done

lint: setup ## check and format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format traflow_lib tests

clean: ## remove the environment and all working files; keeps results/
	rm -rf $(VENV) runs .snakemake results/executed results/logs
