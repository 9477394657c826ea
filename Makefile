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
CYCLONEDX := .local/cyclonedx
CYCLONEDX_VERSION := 0.5.9
MUTANTS := .local/mutants
MUTANTS_VERSION := 27.1.0
SAM := PATH="$(CURDIR)/$(SAM_TOOLS)/bin:$$PATH" SAM_CLI_TELEMETRY=0 $(SAM_TOOLS)/bin/sam
HOST := $(shell rustc --print host-tuple)

# SAM looks for what cargo built in the default place.
unexport CARGO_TARGET_DIR

# The functions of this machine, unoptimised, where tests and demo deploy them from. `sam build` compiles with
# the flags and features of all else, so that each crate is compiled once.
BUILT_STACK := .aws-sam/local
FUNCTIONS := $(foreach name,s3 iam ec2 lambda triage,--bin $(name)-responder)
PROCESSOR := $(if $(filter arm64 aarch64,$(shell uname -m)),arm64,x86_64)

# What is packaged, for which of Lambda's processors, and what rustc calls them.
PACKAGES := target/packages
ARCHITECTURES := arm64 x86_64
TARGET_arm64 := aarch64-unknown-linux-gnu
TARGET_x86_64 := x86_64-unknown-linux-gnu
# What is packaged beside the built stack and gdr: also what the documents link to.
PACKAGED := infra docs samconfig.toml LICENSE README.md ARCHITECTURE.md CHANGELOG.md CONTRIBUTING.md \
    shared/policy/src/rails.cedar shared/policy/src/schema.cedarschema
COMMITTED = $(shell git log -1 --format=%ct)
VERSION = $(shell sed -n 's/^version = "\(.*\)"$$/\1/p' Cargo.toml)

# The programs that the tests look for, in the same order.
BROWSER = $(or $(CHROMIUM),$(shell command -v chromium || command -v chromium-browser || command -v google-chrome || command -v google-chrome-stable || ls "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome" 2>/dev/null))

.PHONY: help setup browser build package stack test faults check quick explain demo pictures bench mutants clean

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

package: $(SAM_TOOLS)/installed $(CYCLONEDX)/bin/cargo-cyclonedx ## Build what is released, for each of ARCHITECTURES, below target/packages
	@for target in $(foreach architecture,$(ARCHITECTURES),$(TARGET_$(architecture))); do \
	    rustup target list --installed | grep -qx "$$target" || rustup target add "$$target" || \
	        { echo "the standard library of Rust for $$target is missing: rustup target add $$target" >&2; exit 1; }; \
	done
	rm -rf $(PACKAGES)
	mkdir -p $(PACKAGES)
	$(foreach architecture,$(ARCHITECTURES),$(call package,$(architecture),guardduty-responder-$(VERSION)-$(architecture)))
	cd $(PACKAGES) && sha256sum *.tar.gz *.cdx.json >SHA256SUMS
	@cat $(PACKAGES)/SHA256SUMS

# The built stack, which `sam deploy` takes as it is, and gdr. Times, owners and paths are the same whoever
# makes it. cargo-cyclonedx writes beside each Cargo.toml.
define package
	$(SAM) build --parameter-overrides Architecture=$(1) --build-dir $(PACKAGES)/$(2)
	sed -i -e '/^  Architecture:/,/Default:/s/Default: .*/Default: $(1)/' $(PACKAGES)/$(2)/template.yaml
	PATH="$(CURDIR)/$(SAM_TOOLS)/bin:$$PATH" cargo lambda build --release --$(subst _,-,$(1)) --bin gdr
	cp target/lambda/gdr/bootstrap $(PACKAGES)/$(2)/gdr
	cp -r --parents $(PACKAGED) $(PACKAGES)/$(2)
	tar -C $(PACKAGES) --sort=name --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX \
	    --mtime="@$(COMMITTED)" -c $(2) | gzip -n >$(PACKAGES)/$(2).tar.gz
	SOURCE_DATE_EPOCH=$(COMMITTED) $(CYCLONEDX)/bin/cargo-cyclonedx cyclonedx --quiet --format json \
	    --spec-version 1.5 --target $(TARGET_$(1)) --override-filename parts
	for name in s3 iam ec2 lambda triage; do \
	    sed 's#file://$(CURDIR)/#file:///#g' functions/$$name/parts.json >$(PACKAGES)/$(2)-$$name-responder.cdx.json; \
	done
	sed 's#file://$(CURDIR)/#file:///#g' shared/operator/parts.json >$(PACKAGES)/$(2)-gdr.cdx.json
	rm -f functions/*/parts.json shared/*/parts.json tests/parts.json bench/parts.json

endef

$(CYCLONEDX)/bin/cargo-cyclonedx:
	cargo install --locked --root $(CYCLONEDX) --version $(CYCLONEDX_VERSION) cargo-cyclonedx

# Cargo shows its progress, which SAM does not.
stack: $(SAM_TOOLS)/installed ## Build the functions for tests and demo (unoptimised, for this machine)
	cargo build --locked $(FUNCTIONS) $(STACK_ALSO)
	SAM_BUILD_MODE=debug CARGO_LAMBDA_COMPILER=cargo __SAM_CLI_APP_DIR=$(CURDIR)/.local/sam-home \
	    $(SAM) build --build-in-source --build-dir $(BUILT_STACK) \
	    --parameter-overrides Architecture=$(PROCESSOR) >/dev/null

test: STACK_ALSO := --bin gdr
test: setup browser stack ## Run every test, also those on local AWS (make test PARTS="e2e gdr": these parts)
	$(PYTHON) tests/run.py $(PARTS)

faults: setup ## Strike every call of every playbook, and of a proof, in every way
	FAULTS=all cargo test --locked -p integration-tests --test integration -- --nocapture faults:: prove::failures::

# Such a folder has files that are no findings, so that the exit status may be 1.
explain: ## Sum up what would be done about the findings in the folder FINDINGS_CORPUS, if it is set
	$(if $(FINDINGS_CORPUS),cargo build --locked --bin gdr)
	$(if $(FINDINGS_CORPUS),target/$(HOST)/debug/gdr explain --output json "$(FINDINGS_CORPUS)" >/dev/null || test $$? -eq 1)

check: $(SAM_TOOLS)/installed $(CHECKOV)/installed ## Check format, lints and templates
	cargo fmt --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	AWS_DEFAULT_REGION=us-east-1 $(SAM) validate --lint --template-file template.yaml
	$(if $(wildcard infra/*.yaml),$(SAM_TOOLS)/bin/cfn-lint infra/*.yaml infra/integrations/*.yaml)
	$(CHECKOV)/bin/python -m unittest discover --start-directory tests/templates
	$(CHECKOV)/bin/python tests/templates/check.py

# The crates with changes that are not committed; all have unit tests but the functions. A unit test of the library
# holds the ban of clippy.toml against the SDK that Cargo.lock names.
CHANGED = $(sort $(shell git status --porcelain --untracked-files=all | sed -nE \
    's#^.* "?shared/playbooks/(s3|iam|ec2|lambda)/.*#playbook-\1#p; t; s#^.* "?shared/([a-z_]+)/.*#\1#p; s#^.* "?tests/src/.*#integration-tests#p; \
    s#^.* "?(clippy\.toml|Cargo\.lock)$$#remediation#p'))

# Tests that try many inputs or orders, or let each call fail in turn, take two minutes by themselves.
SWEEPS := whatever_call_fails whatever_happens no_failing_read hostile

quick: ## Check format and lints, and run the unit tests of the crates that changed since the last commit, without the sweeps
	cargo fmt --check
	$(if $(CHANGED),cargo clippy --locked $(addprefix -p ,$(CHANGED)) --all-targets -- -D warnings)
	$(if $(CHANGED),cargo test --locked $(addprefix -p ,$(CHANGED)) --lib --bins -- $(addprefix --skip ,$(SWEEPS)))

demo: STACK_ALSO := --bin demo
demo: setup stack ## Watch five attacks being stopped (make demo DRY_RUN=true: being planned for)
	@DRY_RUN=$(DRY_RUN) target/$(HOST)/debug/demo

pictures: STACK_ALSO := --bin demo
pictures: setup browser stack ## Make the pictures of the README from the demo's output and an incident page
	mkdir -p .local/log
	target/$(HOST)/debug/demo >.local/log/demo.txt
	$(PYTHON) tests/pictures.py "$(BROWSER)" .local/log/demo.txt docs/pictures

# Optimised for this machine, and not for arm64 as what is deployed.
bench: $(EMULATORS)/installed $(BENCH)/installed ## Measure the functions beside Cloud Custodian and boto3
	cargo build --release --target $(HOST) -p bench -p s3-responder -p iam-responder -p ec2-responder \
	    -p triage-responder
	@$(BENCH)/bin/python bench/harness/run.py --binaries target/$(HOST)/release

# One crate after the other, each in a copy of the checkout. Mutants that its tests do not notice make it fail.
mutants: PARTS ?= model policy simulation
mutants: $(MUTANTS)/bin/cargo-mutants ## Change the crates PARTS line by line, and list the changes that no unit test notices
	@failed=; for part in $(PARTS); do mkdir -p target/mutants/$$part; \
	    $(MUTANTS)/bin/cargo-mutants mutants --package $$part --test-package $$part --timeout 60 \
	        --output target/mutants/$$part $(ONLY) || failed+=" $$part"; \
	done; test -z "$$failed" || { echo "not all mutants were caught:$$failed (target/mutants)" >&2; exit 1; }

$(MUTANTS)/bin/cargo-mutants:
	cargo install --locked --root $(MUTANTS) --version $(MUTANTS_VERSION) cargo-mutants

clean: ## Remove what was built and installed
	rm -rf target .aws-sam .local
