# Two commands are enough: `make app` serves the dashboard, `make test` runs the tests. Both set everything up first.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
APP := $(VENV)/.app
READY := $(VENV)/.ready
INSTALL = $(BIN)/python -m pip install --disable-pip-version-check --quiet
BROWSER := $(VENV)/.browser
CODE := segmodels train dashboard tests
# The tests of a file stay in one process; a process for each core, but no more than the memory of a laptop holds.
PROCESSES ?= --numprocesses logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help app test check format audit wheel annotation-tools exports bench gpu kills fuzz fuzz-api together load errors weights architectures archive examples truth lock clean

help: ## what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Garmentscope needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1). Try: make PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# What the app needs is a part of the whole, in the same versions: either may be installed first, and the whole holds both.
$(APP): requirements-app.lock pyproject.toml | $(BIN)/python
	$(INSTALL) -r requirements-app.lock
	$(INSTALL) --no-deps -e .
	@touch $@

$(READY): requirements.lock pyproject.toml | $(BIN)/python
	$(INSTALL) -r requirements.lock
	$(INSTALL) --no-deps -e .
	@touch $(APP) $@

$(BROWSER): $(READY) tests/chromium.py
	$(BIN)/python tests/chromium.py
	@touch $@

app: $(APP) ## serve the dashboard on http://localhost:8501 with the embedded models
	$(BIN)/python -m dashboard

test: $(READY) $(BROWSER) ## run all tests, a real browser included
	$(BIN)/python -m pytest $(PROCESSES)

check: $(READY) ## format, lint and types, as CI checks them
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/mypy

format: $(READY) ## mend what can be mended: format and lint
	$(BIN)/ruff format $(CODE)
	$(BIN)/ruff check --fix $(CODE)

# Asks an advisory database (PyPI's), so it is no part of `make check`, which works offline.
audit: $(READY) ## look for known vulnerabilities of the versions in both lock files; needs the network
	$(PYTHON) -m venv $(VENV)/audit
	$(VENV)/audit/bin/python -m pip install --disable-pip-version-check --quiet pip-audit
	$(VENV)/audit/bin/pip-audit --no-deps --disable-pip -r requirements-app.lock -r requirements.lock

wheel: $(READY) ## build a wheel, install it into an empty environment, and segment a photo with what was installed
	$(BIN)/python tests/try_wheel.py

annotation-tools: $(READY) ## let the libraries of Label Studio and CVAT read exported annotations, in an environment of their own
	PYTHONPATH=. $(BIN)/python tests/try_annotation_tools.py
	PYTHONPATH=. $(BIN)/python tests/try_label_studio.py

exports: $(READY) ## write all nine embedded networks as ONNX, and compare what comes out
	mkdir -p runs/exports && rm -rf runs/exports/*
	for name in fpn unet linknet pspnet fcn atrous densenet segnet unet_classic; do \
		$(BIN)/python -m train export $$name --format onnx --out runs/exports/$$name/$$name.onnx || exit 1; \
	done

bench: $(READY) ## seconds a photo, photos a second, twenty visitors at once, a busy machine, queries of Trends and training steps, as ratios to named baselines, and waits of each page
	PYTHONPATH=. $(BIN)/python tests/bench.py
	PYTHONPATH=. $(BIN)/python tests/bench_archive.py
	PYTHONPATH=. $(BIN)/python tests/bench_care.py
	PYTHONPATH=. $(BIN)/python tests/bench_trends.py
	PYTHONPATH=. $(BIN)/python tests/bench_train.py
	PYTHONPATH=. $(BIN)/python tests/bench_visitors.py
	PYTHONPATH=. $(BIN)/python tests/bench_threads.py
	PYTHONPATH=. $(BIN)/python tests/bench_pages.py
	PYTHONPATH=. $(BIN)/python tests/bench_api.py

gpu: $(READY) ## train, judge and ingest for real on one GPU, beside the processor; says so where there is none
	PYTHONPATH=. $(BIN)/python tests/gpu.py

KILLS ?= 100
ENGINE ?= local
kills: $(READY) ## kill ingests and changes a hundred times and look whether an archive lost or doubled a photo: make kills ENGINE=ray
	PYTHONPATH=. $(BIN)/python tests/kill_ingest.py --kills $(KILLS) --engine $(ENGINE)
	PYTHONPATH=. $(BIN)/python tests/kill_changes.py --kills $(KILLS)

SECONDS ?= 600
fuzz: $(READY) ## try hostile files and links at every door for ten minutes: make fuzz SECONDS=60
	PYTHONPATH=. $(BIN)/python tests/fuzz_doors.py --seconds $(SECONDS)

fuzz-api: $(READY) ## let schemathesis try the HTTP API by its description: make fuzz-api SECONDS=120
	PYTHONPATH=. $(BIN)/python tests/fuzz_api.py --seconds $(SECONDS)

together: $(READY) ## 32 callers of the API and five browsers on the pages for a minute: nobody may fail
	PYTHONPATH=. $(BIN)/python tests/serve_together.py

SMALL_PHOTOS ?= 10000
load: $(READY) ## 120 large photos in sessions, a ZIP of 1 GB, 10,000 small photos: does memory come back, does it stay flat
	PYTHONPATH=. $(BIN)/python tests/load.py --small-photos $(SMALL_PHOTOS)

errors: $(READY) ## write segmodels/ERRORS.md, the page of all error sentences, anew
	PYTHONPATH=. $(BIN)/python tests/list_errors.py

weights: $(READY) ## train the default network, what it is compared with and the detector: make weights DATA=Clothing Co-Parsing FLATLAY=flat-lays
	@test -n "$(DATA)" -a -n "$(FLATLAY)" || { echo "Name both folders: make weights DATA=... FLATLAY=..." >&2; exit 1; }
	$(BIN)/python -m train fit inacio/fpn --set dataset=ccp --data "$(DATA)" --out runs/fpn_inacio
	$(BIN)/python -m train fit own/lite2_small --data "$(DATA)" --out runs/lite2_small
	$(BIN)/python -m train pseudo-label runs/lite2_small/checkpoint --data "$(DATA)" --out runs/pseudo
	$(BIN)/python -m train fit own/fpn_lite2 --data "$(DATA)" --out runs/fpn_lite2
	$(BIN)/python -m train pseudo-label runs/fpn_lite2/checkpoint runs/fpn_inacio/checkpoint --data "$(DATA)" --out runs/pseudo2
	$(BIN)/python -m train fit own/fpn_portrait --data "$(DATA)" --out runs/fpn_portrait
	$(BIN)/python -m train fit own/fpn_portrait_512 --data "$(DATA)" --out runs/fpn_portrait_512
	$(BIN)/python -m train fit own/fpn_partner --data "$(DATA)" --out runs/fpn_partner
	$(BIN)/python -m train fit own/fpn_partner_384 --data "$(DATA)" --out runs/fpn_partner_384
	$(BIN)/python -m train join runs/fpn_portrait_512/checkpoint runs/fpn_partner_384/checkpoint \
		--share 0.5 --scales 1 --margin 0.04 --out runs/pair
	$(BIN)/python -m train pseudo-label runs/pair --data "$(DATA)" --out runs/pseudo3
	$(BIN)/python -m train mask-flatlays runs/pair --data "$(FLATLAY)" --out runs/flatlay_masks
	$(BIN)/python -m train fit own/fpn_light --set flatlays="$(FLATLAY)" --data "$(DATA)" --out runs/fpn_light
	$(BIN)/python -m train fit own/fpn_light_more --set flatlays="$(FLATLAY)" --data "$(DATA)" --out runs/fpn_light_more --name fpn
	for run in fpn_inacio/checkpoint pair fpn_light_more/checkpoint; do \
		$(BIN)/python -m train evaluate runs/$$run --dataset ccp --data "$(DATA)" --fold 0 --json runs/$$run.json --keep || exit 1; \
	done
	$(BIN)/python -m train calibrate runs/fpn_light_more/checkpoint --data "$(DATA)" --flatlays "$(FLATLAY)" \
		--ids train/splits/ccp_test.txt --precision 32
	$(BIN)/python -m train kinds runs/fpn_light_more/checkpoint --data "$(DATA)" --flatlays "$(FLATLAY)" \
		--ids train/splits/ccp_test.txt --precision 32
	$(BIN)/python -m train embedding runs/fpn_light_more/checkpoint --data "$(DATA)" --flatlays "$(FLATLAY)" --precision 32
	$(BIN)/python -m train compare runs/fpn_inacio/checkpoint runs/fpn_light_more/checkpoint
	$(BIN)/python -m train compare runs/pair runs/fpn_light_more/checkpoint
	$(BIN)/python -m train fit-person --data "$(DATA)" --out runs/person
	$(BIN)/python -m train fit-person --data "$(DATA)" --start runs/person/checkpoint --epochs 5 --blend 0.7 --out runs/person_groups

architectures: $(READY) ## train and judge all nine by one recipe: make architectures DATA=Clothing Co-Parsing FLATLAY=flat-lays
	@test -n "$(DATA)" -a -n "$(FLATLAY)" || { echo "Name both folders: make architectures DATA=... FLATLAY=..." >&2; exit 1; }
	$(BIN)/python -m train pseudo-label fpn --data "$(DATA)" --out runs/pseudo_fpn
	$(BIN)/python -m train mask-flatlays fpn --data "$(FLATLAY)" --out runs/flatlay_masks_fpn
	for name in fpn unet linknet pspnet fcn atrous densenet segnet unet_classic; do \
		case $$name in linknet) change='arguments={wide=true}';; pspnet) change='arguments={dilated=true}';; \
			fcn) change='arguments={stride=8}';; densenet) change='arguments={decoder_width=0.5}';; \
			segnet) change='arguments={unpool=true,width=0.5}';; unet_classic) change='arguments={width=0.5}';; *) change='arguments={}';; esac; \
		case $$name in densenet) steps='--set imagenet=false --set batch_size=4 --set learning_rate=3e-3';; \
			segnet) steps='--set batch_size=4 --set learning_rate=3e-3';; unet_classic) steps='--set batch_size=4';; *) steps=;; esac; \
		$(BIN)/python -m train fit own/rivals --set architecture=$$name --set $$change $$steps --set flatlays="$(FLATLAY)" \
			--data "$(DATA)" --out runs/rivals/$$name && \
		$(BIN)/python -m train evaluate runs/rivals/$$name/checkpoint --dataset ccp --data "$(DATA)" --fold 0 \
			--json runs/rivals/$$name/fold0.json --keep || exit 1; \
	done

archive: $(READY) ## analyse Clothing Co-Parsing for the archive that ships: make archive DATA=folder
	@test -n "$(DATA)" || { echo "Name the data set's folder: make archive DATA=..." >&2; exit 1; }
	mkdir -p runs && rm -rf dashboard/data/archives/ccp
	{ cut -d, -f1 train/splits/ccp_folds.csv; ls "$(DATA)/annotations/image-level" | cut -d. -f1 | \
		grep -vxFf train/splits/ccp_tags_reserved.txt; } > runs/seen.txt
	{ echo file,trained_on; ls "$(DATA)/photos" | awk -F. 'NR == FNR { seen[$$1]; next } \
		{ print $$0 "," ($$1 in seen ? "yes" : "no") }' runs/seen.txt -; } > runs/trained_on.csv
	$(BIN)/python -m segmodels.archive ingest "$(DATA)/photos" --metadata runs/trained_on.csv --archive dashboard/data/archives/ccp --precision 32
	rm -rf dashboard/data/archives/ccp/last-change.json dashboard/data/archives/ccp/log
	$(BIN)/python -m train reliability segmodels/embedded/segmentation/fpn --data "$(DATA)" --json dashboard/data/reliability.json --precision 32

examples: $(APP) ## run the embedded networks on the examples that ship; needed when their weights or calibration change
	$(BIN)/python -m dashboard.shared.examples

truth: $(READY) ## compare the embedded network's counts with the truth of photos that had no part: make truth DATA=folder
	@test -n "$(DATA)" || { echo "Name the data set's folder: make truth DATA=..." >&2; exit 1; }
	for framing in full waist-up waist-down; do echo "$$framing:"; \
		$(BIN)/python -m train truth fpn --data "$(DATA)" --ids train/splits/ccp_test.txt --framing $$framing || exit 1; \
	done

LOCK = $(BIN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 \
	--no-emit-index-url --no-annotate --custom-compile-command "make lock"
lock: $(READY) ## write requirements.lock and its part requirements-app.lock anew from pyproject.toml; versions stay unless they must move
	$(INSTALL) uv
	$(LOCK) --extra dev --output-file requirements.lock
	$(LOCK) --extra app --constraint requirements.lock --output-file requirements-app.lock

clean: ## remove what was set up and cached
	rm -rf $(VENV) *.egg-info build .mypy_cache .pytest_cache .ruff_cache
