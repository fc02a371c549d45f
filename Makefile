# Two commands are enough on a bare Debian 12 with git, make and python3-venv: `make demo` and `make test`.
PYTHON ?= python3
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
TORCH := torch==2.13.0+cpu
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
ARGS ?=
export OMP_NUM_THREADS ?= 2

.PHONY: all demo test check answers bench bias kill physics scans sheets train verdicts wheel clean

all: $(VENV)/.medqa

# torch first, as its CPU build: nothing that comes after may pull another one.
$(VENV)/.torch: constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet "$(TORCH)" || $(PIP) install --quiet --index-url $(TORCH_INDEX) "$(TORCH)"
	$(BIN)/python -c "import sys, torch; sys.exit(torch.version.cuda and 'this torch is a CUDA build; medqa wants $(TORCH)')"
	touch $@

$(VENV)/.medqa: $(VENV)/.torch pyproject.toml
	$(PIP) install --quiet --constraint constraints.txt --editable .
	touch $@

$(VENV)/.test: $(VENV)/.medqa
	$(PIP) install --quiet --constraint constraints.txt --editable ".[test]"
	touch $@

$(VENV)/.dev: $(VENV)/.test
	$(PIP) install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $@

demo: $(VENV)/.medqa
	$(BIN)/medqa demo $(ARGS)

test: $(VENV)/.dev
	$(BIN)/python -m pytest $(ARGS)

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell README.md docs medqa dicom_node reports tests models
	$(BIN)/python -m pytest -q tests/house

# Slow proofs: each writes its table into docs/.
scans: $(VENV)/.test
	$(BIN)/python -m tests.proofs.scans $(ARGS)

answers: $(VENV)/.test
	$(BIN)/python -m tests.proofs.answers $(ARGS)

kill: $(VENV)/.test
	$(BIN)/python -m tests.proofs.kill $(ARGS)

bench: $(VENV)/.test
	$(BIN)/python -m tests.proofs.bench $(ARGS)

bias: $(VENV)/.test
	$(BIN)/python -m tests.proofs.bias $(ARGS)

train: $(VENV)/.test
	$(BIN)/python -m medqa.training all $(ARGS)
	$(BIN)/python -m tests.proofs.verdicts

# Evidence on real scans (about an hour on two cores), the physics witness, and the page of the metrics.
physics: $(VENV)/.test
	$(BIN)/python -m medqa.training.physics evidence --part 0/2 & $(BIN)/python -m medqa.training.physics evidence --part 1/2; wait
	$(BIN)/python -m medqa.training.physics fit
	$(BIN)/python -m tests.proofs.verdicts
	$(BIN)/python -m tests.proofs.metrics
	$(BIN)/python -m tests.proofs.natural_mr
	$(BIN)/python -m tests.proofs.mrqy
	$(BIN)/python -m tests.proofs.half_counts

sheets: $(VENV)/.test
	$(BIN)/python -m tests.proofs.sheets $(ARGS)

verdicts: $(VENV)/.test
	$(BIN)/python -m tests.proofs.verdicts $(ARGS)

wheel: $(VENV)/.dev
	$(PIP) wheel --quiet --no-deps --wheel-dir dist .

clean:
	rm -rf $(VENV) dist build
