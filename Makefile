.DEFAULT_GOAL := help
.PHONY: help check test test-slow bench format readme

help:  ## Show these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

check:  ## Everything from nothing, as the continuous integration runs it (needs only Python and pip)
	.ci/run

test:  ## The test suite in the present environment
	pytest

test-slow:  ## The tests that take minutes
	pytest -m slow

bench:  ## The tuned stock Trainer on WNUT-17, one run: the peer that hfkit is measured against
	python benchmarks/stock_trainer_ner.py --dataset ../shared/data/wnut17 --learning_rate 5e-5 --output runs/bench/stock.json

format:  ## Sort imports, mend what ruff can mend, format
	ruff check --fix
	ruff format

readme:  ## Render README's tables from benchmarks/results
	python benchmarks/render.py
