.DEFAULT_GOAL := help
DATA ?= ../shared/data/wnut17
.PHONY: help check test test-slow bench format readme

help:  ## Show these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

check:  ## Everything from nothing, as the continuous integration runs it (needs only Python and pip)
	.ci/run

test:  ## The test suite in the present environment
	pytest

test-slow:  ## The tests that take minutes
	pytest -m slow

bench:  ## The NER benchmark beside the tuned stock Trainer: hours, resumable. DATA=folder of WNUT-17 parquet files
	python benchmarks/run_ner.py wnut17 --dataset $(DATA) --jobs 2
	python benchmarks/collect.py --cells runs/bench/wnut17 --dataset $(DATA) --title "WNUT-17, all-MiniLM-L6-v2" \
		--result benchmarks/results/bert_ner_wnut17.json
	python benchmarks/render.py

format:  ## Sort imports, mend what ruff can mend, format
	ruff check --fix
	ruff format

readme:  ## Render README's tables from benchmarks/results
	python benchmarks/render.py
