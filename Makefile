PYTHON ?= python3
BIN := .venv/bin
SOURCES := pyproject.toml constraints.txt setup.py $(wildcard src/lamnet/ops/csrc/*)

# Where there is no environment, as on a machine that is lent, the sources are run as they are.
GPU = PYTHONPATH=src:tools $(if $(wildcard $(BIN)/python),$(BIN)/python,$(PYTHON)) -m gpu

FAST = $(BIN)/pip install -q --no-compile --disable-pip-version-check -c constraints.txt
SANITIZED := build/kernels-sanitized.so
EMULATOR := build/emulate_amx.so
MARCH ?= native
SANITIZER_CC ?= gcc

.PHONY: check quick demo test test-slow test-web load lint docs results kernels-sanitized kernels-amx train-on gpu gpu-pack wheels check-wheels web clean

demo: .venv/demo
	$(BIN)/lamnet demo

# Side by side: pyright takes one processor.
check: .venv/test
	$(MAKE) -j 2 lint quick

quick: .venv/test
	OMP_NUM_THREADS=1 $(BIN)/pytest -q -n 2 --dist worksteal -m 'not slow and not thorough'

test: lint
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist worksteal

test-slow: .venv/test
	$(BIN)/pytest -m slow

# The pages in a real browser: Chromium, as from `apt-get install chromium`.
test-web: .venv/test
	$(BIN)/pytest -m 'slow or thorough' tests/server/test_page.py tests/web

# 50 clients of lamnet app at once, among others that misbehave; prints the figures of docs/http.md.
load: .venv/test
	$(BIN)/pytest -m slow -s -q tests/server/test_load.py

lint: .venv/test
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright
	$(BIN)/lint-imports

# The site, in build/site; a dead link fails it.
docs: .venv/docs
	$(BIN)/python tools/make_site.py

# RESULTS.md, the table of docs/speed.md and the pictures of docs/figures.md, anew from the weights that ship and docs/log.
results: .venv/test
	$(BIN)/python docs/make_figures.py
	$(BIN)/python docs/make_results.py

# A queue of trainings at the lowest priority; `make train-on STATUS=--status` tells what it does.
train-on:
	@nice -n 19 $(BIN)/python tools/train_on.py $(or $(QUEUE),queue.txt) $(STATUS)

# Fifteen minutes of a GPU (docs/gpu.md): correctness, speed, training, with SECONDS for the call and COOLDOWN at its end.
# `make gpu DRY=1` goes through it on a processor in small; so does `make gpu --dry`, which make takes for --dry-run.
gpu:
	+@$(GPU) run $(if $(SECONDS),--seconds $(SECONDS)) $(if $(COOLDOWN),--cooldown $(COOLDOWN)) $(if $(FOLDER),--folder $(FOLDER)) \
		$(if $(DRY)$(findstring n,$(firstword -$(MAKEFLAGS))),--dry)

# What `make gpu` is fed, of a prepared set DATA; WATCHED is a prepared set for PSNR, START a checkpoint or weights,
# RECIPE a TOML of a stable phase, for another network or degradation, or several, which are trained at the same time, each from
# its START; FOLDER for another than runs/gpu.
gpu-pack:
	@$(GPU) pack --data $(DATA) $(if $(WATCHED),--watched $(WATCHED)) $(if $(START),--start $(START)) \
		$(if $(RECIPE),--recipe $(RECIPE)) $(if $(FOLDER),--folder $(FOLDER)) $(if $(MEGABYTES),--megabytes $(MEGABYTES))

# The tests of the operators and the core over a build of the C that checks addresses and undefined behaviour;
# MARCH=x86-64-v3 is the level below AVX-512.
kernels-sanitized: .venv/test
	mkdir -p $(dir $(SANITIZED))
	$(SANITIZER_CC) -march=$(MARCH) -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all \
		-fvisibility=hidden -fno-math-errno -fno-trapping-math -Wall -Wextra -Wno-unknown-pragmas \
		-Wno-missing-field-initializers -Wno-psabi -Wno-unused-parameter -shared -fPIC -pthread -o $(SANITIZED) src/lamnet/ops/csrc/*.c -lm
	LD_PRELOAD="$$($(SANITIZER_CC) -print-file-name=libasan.so) $$($(SANITIZER_CC) -print-file-name=libstdc++.so.6)" \
		ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 OMP_NUM_THREADS=2 OMP_WAIT_POLICY=passive LAMNET_KERNELS=$(SANITIZED) \
		$(BIN)/pytest tests/ops tests/core

# The same over the library for AMX on a processor that has AVX-512 with bfloat16: AMX is emulated, instruction by instruction.
kernels-amx: .venv/test
	mkdir -p $(dir $(EMULATOR))
	$(BIN)/python -m ziglang cc -target x86_64-linux-gnu.2.17 -mcpu=x86_64_v4 -O2 -fPIC -shared -o $(EMULATOR) tools/emulate_amx.c
	LD_PRELOAD=$(CURDIR)/$(EMULATOR) OMP_NUM_THREADS=2 OMP_WAIT_POLICY=passive \
		LAMNET_KERNELS=src/lamnet/ops/_native_x86_64_v4_amx.so $(BIN)/pytest -p no:faulthandler tests/ops tests/core

# For Linux, macOS and Windows, all made here; dist/ holds them.
wheels: .venv/bin/pip
	$(BIN)/pip install -q 'setuptools>=77' 'ziglang>=0.13'
	$(BIN)/python tools/make_wheels.py

# What the wheels in dist/ hold, and golden cases on those that run here.
check-wheels: .venv/demo
	$(BIN)/pip install -q 'ziglang>=0.13'
	$(BIN)/python tools/check_wheels.py

# The page, for any static host; `python -m http.server -d build/web` serves it here.
web: .venv/demo
	$(BIN)/pip install -q 'ziglang>=0.13'
	$(BIN)/python tools/make_web.py

.venv/bin/pip:
	$(PYTHON) -m venv .venv

# In a hurry: the library for this processor alone, by the machine's compiler where that knows all levels (it takes 1.5 times as
# long as zig's, which `make test` and `pip install` have). Of scikit-image only the photograph is wanted; it comes last, or pip would
# call what it lacks an error.
.venv/demo: .venv/bin/pip $(SOURCES)
	$(FAST) --no-deps 'setuptools>=77' $$(cc -march=x86-64-v4 -mavx512bf16 -mamx-bf16 -E -x c /dev/null >/dev/null 2>&1 || echo ziglang)
	LAMNET_LEVELS=here $(FAST) --no-build-isolation -e .
	$(FAST) --no-deps scikit-image
	touch $@

.venv/docs: .venv/bin/pip $(SOURCES)
	$(BIN)/pip install -q -c constraints.txt -e '.[docs]'
	touch $@

.venv/test: .venv/bin/pip $(SOURCES)
	$(BIN)/pip install -q -c constraints.txt -e '.[demo,test]'
	touch $@

clean:
	rm -rf .venv build dist src/*.egg-info src/lamnet/ops/_native_*
