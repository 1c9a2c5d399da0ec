.DEFAULT_GOAL := help
DATA ?= ../shared/data
WEIGHTS ?= ../shared/weights
.PHONY: help check test test-slow bench bench-ner architectures ledgers coverage reading reliability mutants samples audit sbom format readme picture docs notebooks

help:  ## Show these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

check:  ## Everything from nothing, as the continuous integration runs it (needs only Python and pip)
	.ci/run

test:  ## The test suite in the present environment
	pytest

test-slow:  ## The tests that take minutes
	pytest -m slow

bench:  ## Speed beside the tuned stock Trainer, and README's tables of it: hours, resumable. DATA, WEIGHTS=folders
	python -m benchmarks --data $(DATA) --weights $(WEIGHTS)

bench-ner:  ## The NER benchmark beside the tuned stock Trainer: hours, resumable
	python benchmarks/run_ner.py wnut17 --dataset $(DATA)/wnut17 --jobs 2
	python benchmarks/collect.py --cells runs/bench/wnut17 --dataset $(DATA)/wnut17 \
		--title "WNUT-17, all-MiniLM-L6-v2" --result benchmarks/results/bert_ner_wnut17.json
	python benchmarks/render.py

architectures:  ## Map every architecture of transformers and family of timm, small: 15 minutes of CPU, resumable
	python -m benchmarks.architectures
	python benchmarks/render.py

ledgers:  ## The seven measured ledgers, what the literature says against them, and how often a verdict errs: hours, resumable
	python -m benchmarks.ledgers --data $(DATA) --weights $(WEIGHTS)
	python -m benchmarks.claims --data $(DATA) --weights $(WEIGHTS)
	python -m benchmarks.false_claims
	python benchmarks/render.py

coverage:  ## How often intervals hold the truth, in simulations: 25 minutes of one core, resumable
	nice python -m benchmarks.coverage
	nice python -m benchmarks.fold_coverage
	python benchmarks/render.py

reliability:  ## Faults on purpose, and README's table of what came of them: an hour of CPU, resumable
	python -m benchmarks.reliability
	python benchmarks/render.py

mutants:  ## Switch each guard of the code off, one at a time: its tests must fail. Ten minutes of CPU
	python -m benchmarks.mutants
	python benchmarks/render.py

reading:  ## CPU seconds of reading 100,000 rows from each kind of file: five minutes
	OMP_NUM_THREADS=1 python benchmarks/reading.py --result benchmarks/results/reading.json
	python benchmarks/render.py

samples:  ## Write the bundled samples anew: data in seconds, checkpoints in an hour. DATA=folder of the texts
	python -m samples_source.make_ner
	python -m samples_source.make_sentiment
	python -m samples_source.make_pos
	python -m samples_source.make_questions
	python -m samples_source.make_choices
	python -m samples_source.make_backbones --architecture resnet
	python -m samples_source.make_backbones --architecture vit
	python -m samples_source.make_gpt2 --output hfkit/samples/gpt2 \
		--text $(foreach name,gsm8k scitldr_a self_instruct_human tatoeba_en_de tiny_shakespeare,$(DATA)/$(name)/train.parquet)

audit:  ## Known vulnerabilities of the installed packages, where pip-audit can ask for them
	python .ci/audit

sbom:  ## Write what is installed to build/sbom.json (CycloneDX)
	mkdir -p build
	cyclonedx-py environment --pyproject pyproject.toml --output-format JSON --output-file build/sbom.json

format:  ## Sort imports, mend what ruff can mend, format
	ruff check --fix
	ruff format

readme:  ## Render the tables of README and docs, and the cards, from benchmarks/results
	python benchmarks/render.py

picture:  ## README's picture of a report, by chromium
	python benchmarks/picture.py

docs:  ## Build the pages of docs/ into build/site, without a network; a warning is an error
	NO_MKDOCS_2_WARNING=1 mkdocs build --strict --quiet

notebooks:  ## Write and run the notebooks anew: seconds each, without a network
	python notebooks/run.py
