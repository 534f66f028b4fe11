# Every target sets up what it needs; the virtual environment is .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ROUNDS_OPTION = $(if $(ROUNDS),--rounds $(ROUNDS))
ENGINE := src/groupstore/engine
LINTED := setup.py .ci src tests benchmarks examples docs/conf.py
SOURCES := setup.py pyproject.toml $(wildcard $(ENGINE)/*.pyx $(ENGINE)/*.pxd $(ENGINE)/*.h)

# Built apart from the modules in place; `setup.py` gives -O2 -g0 after these.
SANITIZED := build/sanitized
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
# The interpreter itself leaks at exit; its own allocator would hide what is freed too early.
SANITIZED_RUN = LD_PRELOAD="$$(gcc -print-file-name=libasan.so) $$(gcc -print-file-name=libubsan.so)" \
	ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 \
	PYTHONMALLOC=malloc PYTHONPATH=$(SANITIZED)

.PHONY: release-check sbom help build demo test test-slow sanitize lint types bench bench-peers bench-compare instructions docs clean

help:
	@echo "make demo       build, and load the metadata of every installed distribution into a store"
	@echo "make test       build, and run the tests"
	@echo "make test-slow  the tests with many more examples"
	@echo "make sanitize   the tests on modules built with AddressSanitizer and UBSan (TESTS=tests)"
	@echo "make lint       ruff and cython-lint"
	@echo "make types      mypy --strict, pyright, and stubtest of the compiled modules"
	@echo "make bench      the benchmarks, as ratios from interleaved rounds"
	@echo "make bench-peers  groupstore beside other stores, into docs/ (ROUNDS=15)"
	@echo "make bench-compare REF=HEAD~5  this tree beside another revision (ROUNDS=20)"
	@echo "make instructions  the hot calls' instructions against the stored ones (UPDATE=1 stores)"
	@echo "make docs       the documentation site, into build/docs"
	@echo "make release-check  version, changelog, sdist, metadata and licences before a release"
	@echo "make build      the virtual environment, and the compiled modules in place"
	@echo "make clean      remove what the others made"

$(VENV)/made: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --group build --group test --group bench \
		--group lint --group types $$($(BIN)/python .ci/dependencies.py)
	touch $@

# In place, so that a change of Python code needs no build.
$(VENV)/built: $(VENV)/made $(SOURCES)
	$(BIN)/python setup.py --quiet build_ext --inplace
	$(BIN)/python -c "import pathlib, sysconfig; \
		pathlib.Path(sysconfig.get_path('purelib'), 'groupstore-src.pth') \
		.write_text(str(pathlib.Path('src').resolve()) + '\n')"
	touch $@

build: $(VENV)/built

demo: build
	$(BIN)/python examples/demo.py

test: build
	$(BIN)/python -m pytest -q

test-slow: build
	GROUPSTORE_SLOW=1 $(BIN)/python -m pytest -q

sanitize: build
	CFLAGS="$(SANITIZE)" LDFLAGS="$(SANITIZE)" $(BIN)/python setup.py --quiet build \
		--build-base build/sanitized-objects --build-lib $(SANITIZED)
	$(SANITIZED_RUN) $(BIN)/python -m pytest -q $(or $(TESTS),tests)

# cython-lint starts pycodestyle by name.
lint: $(VENV)/made
	$(BIN)/ruff check $(LINTED)
	$(BIN)/ruff format --check $(LINTED)
	PATH="$$PWD/$(BIN):$$PATH" $(BIN)/cython-lint $(ENGINE)

types: build
	$(BIN)/mypy --strict -p groupstore
	$(BIN)/pyright --pythonpath $(BIN)/python src
	$(BIN)/python .ci/stubtest.py

bench: build
	$(BIN)/python -m benchmarks.report
	$(BIN)/python -m pytest -q benchmarks/bench_*.py \
		--benchmark-columns=median,iqr,rounds --benchmark-sort=fullname

# One by one: what cannot be installed here is left out, and the report says so.
$(VENV)/peers: $(VENV)/made
	for one in $$($(BIN)/python .ci/dependencies.py peers); do \
		$(BIN)/python -m pip install --quiet "$$one" || echo "not installed: $$one"; done
	touch $@

bench-peers: build $(VENV)/peers
	$(BIN)/python -m benchmarks.peers $(ROUNDS_OPTION)

bench-compare: build
	@test -n "$(REF)" || { echo "make bench-compare REF=<revision>"; exit 2; }
	$(BIN)/python -m benchmarks.compare $(REF) $(ROUNDS_OPTION)

instructions: build
	$(BIN)/python -m benchmarks.instructions $(if $(UPDATE),--update)

$(VENV)/docs: $(VENV)/made
	$(BIN)/python -m pip install --quiet --group docs
	touch $@

docs: build $(VENV)/docs
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --fresh-env --quiet docs build/docs

# TAG=v0.1.0 has the tag checked too.
release-check: $(VENV)/made
	$(BIN)/python -m pip install --quiet --group release
	rm -rf dist
	$(BIN)/python -m build --quiet
	$(BIN)/twine check --strict dist/*
	$(BIN)/check-wheel-contents dist/*.whl
	$(BIN)/python .ci/wheel_contents.py dist/*.whl
	$(BIN)/python .ci/release_check.py dist/*.tar.gz $(TAG)

# What a user gets with the package, in CycloneDX's form.
sbom: $(VENV)/made
	rm -rf build/sbom
	$(PYTHON) -m venv --without-pip build/sbom
	$(BIN)/python -m pip --python build/sbom/bin/python install --quiet \
		$$($(BIN)/python .ci/dependencies.py --extras)
	$(BIN)/python -m pip install --quiet --group release
	mkdir -p dist
	$(BIN)/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible \
		--output-file dist/groupstore.cdx.json build/sbom/bin/python

clean:
	rm -rf $(VENV) build dist src/*.egg-info $(ENGINE)/*.so
