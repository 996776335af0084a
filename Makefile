# Needs Python 3.11 or later and make; everything else goes into .venv.
#   make demo PYTHON=python3.12                 another interpreter
#   make demo PIP_ARGS="--extra-index-url URL"  the CPU index named at pytorch.org/get-started: spares the gigabytes of torch's CUDA build
#   make test ONLY=lint                         only the checks whose name holds a word
PYTHON ?= python3
PIP_ARGS ?=
ONLY ?=
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt $(PIP_ARGS)

.PHONY: help demo test lab readme site
.DEFAULT_GOAL := help

help: ## list these targets
	@sed -n 's/^\([a-z]*\):.*## /\1 /p' Makefile | while read -r t d; do printf '  make %-8s %s\n' "$$t" "$$d"; done

demo: .venv/.installed ## run the demo suites, print the verdict, write the report (about 15 minutes on 2 cores)
	@$(BIN)/crma demo

test: .venv/.installed ## export, clean, lints and every notebook from top to bottom
	@$(BIN)/python .ci/check.py $(ONLY)

lab: .venv/.installed ## open JupyterLab on the notebooks; what it saves is clean
	@cd nbs && ../$(BIN)/python -m jupyter lab --config=../.ci/lab.py

readme: .venv/.installed ## write README.md from nbs/index.ipynb
	@$(BIN)/python .ci/readme.py --write

# nbdev would install Quarto with sudo if it were missing, and rewrite README.md if it looked older than index.ipynb
site: .venv/.installed ## build the web site into _docs (needs Quarto) and check its pages
	@$(BIN)/python .ci/check.py lint readme site
	@command -v quarto >/dev/null || { echo "make site: the inputs are in order, but Quarto, which builds the pages, is not on PATH. Get it at https://quarto.org/docs/get-started/ and call make site again; nothing else here needs it."; exit 1; }
	@touch README.md
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/nbdev_docs
	@$(BIN)/python .ci/site.py _docs

# torch comes first and pinned, so that no later requirement can pull another build of it
.venv/.installed: settings.ini setup.py constraints.txt
	@command -v "$(PYTHON)" >/dev/null || { echo "crma needs Python 3.11 or later: there is no '$(PYTHON)'. Install it, or name yours: make demo PYTHON=..."; exit 1; }
	@"$(PYTHON)" -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if v >= (3, 11) else "crma needs Python 3.11 or later, this is %d.%d: name another with make demo PYTHON=..." % v)'
	@echo "1/3 .venv with $$("$(PYTHON)" --version)"
	@"$(PYTHON)" -m venv .venv || { echo "Python could not make .venv. On Debian or Ubuntu: install python3-venv, then call make again."; exit 1; }
	@echo "2/3 $$(grep '^torch==' constraints.txt)"
	@$(PIP) "$$(grep '^torch==' constraints.txt)"
	@echo "3/3 crma and its tools (a minute or two, silent)"
	@$(PIP) -q -e '.[dev,cluster,eval]'
	@$(BIN)/python -m jupyter kernelspec list 2>/dev/null | grep -q '^ *python3 .*\.venv' || $(BIN)/python -m ipykernel install --sys-prefix
	@touch $@
