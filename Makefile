# Every target is one line that calls bootstrap.py, so that all of it works without make as well.
PYTHON ?= python3

help: ; @$(PYTHON) bootstrap.py --help
run: ; @$(PYTHON) bootstrap.py run
test: ; @$(PYTHON) bootstrap.py test $(ARGS)
test-idp: ; @$(PYTHON) bootstrap.py test-idp $(ARGS)
bench: ; @$(PYTHON) bootstrap.py bench $(if $(ROWS),--rows $(ROWS))
cards: ; @$(PYTHON) bootstrap.py cards $(ARGS)
mutants: ; @$(PYTHON) bootstrap.py mutants $(ARGS)
prove: ; @$(PYTHON) bootstrap.py prove $(ARGS)
lock: ; @$(PYTHON) bootstrap.py lock
ci: ; @$(PYTHON) bootstrap.py ci

.PHONY: help run test test-idp bench cards mutants prove lock ci
.DEFAULT_GOAL := help
