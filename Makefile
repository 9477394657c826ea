# Only make, a Rust toolchain (rustup) and Python 3.11 or newer are presumed. All else is installed
# inside the checkout, at pinned versions, below .local; but Chromium, in which the pages are tested, is
# this machine's.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
SAM_TOOLS := .local/sam
EMULATORS := .local/emulators
CHECKOV := .local/checkov
BENCH := .local/bench
SAM := PATH="$(CURDIR)/$(SAM_TOOLS)/bin:$$PATH" SAM_CLI_TELEMETRY=0 $(SAM_TOOLS)/bin/sam
HOST := $(shell rustc --print host-tuple)

# SAM looks for what cargo built in the default place.
unexport CARGO_TARGET_DIR

# cargo-lambda always names the target, which gives its artifacts a folder of their own. Building all
# programs there first shows progress, which SAM does not, and compiles the AWS crates once for the
# functions and the demo.
PROGRAMS := cargo build --workspace --bins --target $(HOST)

# The programs that the tests look for, in the same order.
BROWSER = $(or $(CHROMIUM),$(shell command -v chromium || command -v chromium-browser || command -v google-chrome || command -v google-chrome-stable || ls "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome" 2>/dev/null))

.PHONY: help setup browser build test faults check explain demo bench clean

help: ## List the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 8

setup: $(SAM_TOOLS)/installed $(EMULATORS)/installed ## Install the pinned tools of tests and demo below .local

$(SAM_TOOLS)/installed: tests/local_aws/requirements-sam.txt
$(EMULATORS)/installed: tests/local_aws/requirements-emulators.txt
$(CHECKOV)/installed: tests/templates/requirements-checkov.txt
$(BENCH)/installed: bench/requirements.txt

# Virtual environments of their own, since they pin different versions of the same packages.
$(SAM_TOOLS)/installed $(EMULATORS)/installed $(CHECKOV)/installed $(BENCH)/installed:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	@echo "Installing $< into $(@D)"
	@rm -rf $(@D)
	@$(PYTHON) -m venv $(@D)
	@$(@D)/bin/python -m pip install --disable-pip-version-check --no-deps --progress-bar on -r $<
	@touch $@

browser: ## Install Chromium where there is none (as root on Debian)
	@if test -z "$(BROWSER)" && ! { test "$$(id -u)" = 0 && apt-get update && \
	    apt-get install --yes --no-install-recommends chromium; }; then \
	    echo "The tests of the pages need Chromium or Chrome. Install it (Debian: apt-get install" \
	        "chromium; macOS: brew install --cask google-chrome), or set CHROMIUM to its path" >&2; \
	    exit 1; \
	fi

build: $(SAM_TOOLS)/installed ## Build the functions for deployment (optimised, for arm64)
	$(SAM) build

test: setup browser ## Run every test, also those on local AWS
	$(PROGRAMS)
	cargo test --workspace --no-fail-fast

faults: setup ## Strike every call of every playbook in every way
	FAULTS=all cargo test --workspace --test faults -- --nocapture

# Such a folder has files that are no findings, so that the exit status may be 1.
explain: ## Sum up what would be done about the findings in the folder FINDINGS_CORPUS, if it is set
	$(if $(FINDINGS_CORPUS),$(PROGRAMS))
	$(if $(FINDINGS_CORPUS),target/$(HOST)/debug/gdr explain --output json "$(FINDINGS_CORPUS)" >/dev/null || test $$? -eq 1)

check: $(SAM_TOOLS)/installed $(CHECKOV)/installed ## Check format, lints and templates
	cargo fmt --check
	cargo clippy --workspace --all-targets -- -D warnings
	AWS_DEFAULT_REGION=us-east-1 $(SAM) validate --lint --template-file template.yaml
	$(if $(wildcard infra/*.yaml),$(SAM_TOOLS)/bin/cfn-lint infra/*.yaml)
	$(CHECKOV)/bin/python tests/templates/check.py

demo: setup ## Watch three attacks being stopped (make demo DRY_RUN=true: being planned for)
	$(PROGRAMS)
	@DRY_RUN=$(DRY_RUN) target/$(HOST)/debug/demo

# Optimised for this machine, and not for arm64 as what is deployed.
bench: $(EMULATORS)/installed $(BENCH)/installed ## Measure the functions beside Cloud Custodian and boto3
	cargo build --release --target $(HOST) -p bench -p s3-responder -p iam-responder -p ec2-responder
	@$(BENCH)/bin/python bench/harness/run.py --binaries target/$(HOST)/release

clean: ## Remove what was built and installed
	rm -rf target .aws-sam .local
