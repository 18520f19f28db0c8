# Makefile of idla, a PGXS extension.
#
# make, make install        builds and installs for the server behind PG_CONFIG
# make test, make demo      everything on a fresh Debian machine: see scripts/
# make engine-test          the engine's unit tests, without a server
#
# Objects live in build/. The engine's are compiled by engine.mk as plain C11; only
# src/pg sees the server's headers, as system headers so that -Wextra speaks of our code alone.

EXTENSION = idla
IDLA_VERSION := $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" idla.control)

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs 2>/dev/null)

.PHONY: all test test-long demo docs bench-quality bench-quality-tables bench-quality-deep bench-robust bench-speed bench-speed-tables bench-speed-deep
.PHONY: bench-rounding bench-neighbours bench-serving bench-shared bench-distil check-onnx compile-check
all:

include engine.mk

MODULE_big = idla
PG_SOURCES := $(sort $(wildcard src/pg/*.c))
PG_OBJS := $(PG_SOURCES:src/pg/%.c=build/pg/%.o)
OBJS = $(PG_OBJS) $(ENGINE_OBJS)
SHLIB_LINK = $(ENGINE_LIBS)
SHLIB_EXPORTS = build/exports.txt

SQL_SOURCES := $(sort $(wildcard sql/[0-9]*.sql))
DATA_built = idla--$(IDLA_VERSION).sql
DATA = $(wildcard sql/updates/idla--*--*.sql)
EXTRA_CLEAN = build results output_iso tmp_check regression.diffs regression.out log

REGRESS = $(sort $(patsubst test/sql/%.sql,%,$(wildcard test/sql/*.sql)))
REGRESS_OPTS = --inputdir=test --load-extension=idla
ISOLATION = $(sort $(patsubst test/specs/%.spec,%,$(wildcard test/specs/*.spec)))
ISOLATION_OPTS = --inputdir=test --outputdir=. --load-extension=idla

# The JIT would only inline our few lines of glue, and needs clang at build time.
override with_llvm = no

ifneq ($(wildcard $(PGXS)),)
include $(PGXS)
else
all install installcheck clean:
	@echo "idla: no PostgreSQL to build for: PG_CONFIG is \"$(PG_CONFIG)\"" >&2
	@echo "Install the server's development files, e.g. scripts/install-packages, or set PG_CONFIG." >&2
	@exit 1
endif

# ---- the glue ----

# The server may have been built elsewhere: its tools and its compiler's warnings are not taken over.
AWK = awk
override CFLAGS := $(filter-out -W%,$(CFLAGS))
PG_WARNINGS = $(ENGINE_WARNINGS) -Wmissing-prototypes -Wpointer-arith -Werror=vla -Wendif-labels \
	-Wmissing-format-attribute -Wformat-security -Wshadow=compatible-local
SERVER_INCLUDES = -isystem $(includedir_server) -isystem $(includedir_internal)
PG_FLAGS = $(CFLAGS) -std=gnu11 $(PG_WARNINGS) -Iinclude $(SERVER_INCLUDES) $(filter-out -I. -I./ -I$(includedir_server) -I$(includedir_internal),$(CPPFLAGS))

$(PG_OBJS): build/pg/%.o: src/pg/%.c Makefile build/server build/version.h | build/arrows.ok
	@mkdir -p $(@D)
	$(CC) $(PG_FLAGS) -Ibuild -MMD -MP -c -o $@ $<

# Objects of another server are not reused: this file changes with PG_CONFIG. Two makes may be at it at once.
.PHONY: always
build/server: always
	@mkdir -p $(@D)
	@new=$@.$$$$; $(PG_CONFIG) --version --includedir-server --cflags > $$new; \
	if cmp -s $$new $@; then rm $$new; else mv $$new $@; fi

build/version.h: idla.control
	@mkdir -p $(@D)
	echo '#define IDLA_VERSION "$(IDLA_VERSION)"' > $@

# Only what SQL or the server calls by name leaves the library.
build/exports.txt: scripts/list-exports $(PG_SOURCES)
	@mkdir -p $(@D)
	scripts/list-exports $(PG_SOURCES) > $@

$(DATA_built): $(SQL_SOURCES) idla.control Makefile
	printf '%s\n' '\echo Use "CREATE EXTENSION idla" to load this file. \quit' > $@
	cat $(SQL_SOURCES) /dev/null >> $@

# ---- everything, on a machine that may have nothing ----

test:
	PG_CONFIG='$(PG_CONFIG)' scripts/test

test-long:
	PG_CONFIG='$(PG_CONFIG)' scripts/test --long

demo:
	PG_CONFIG='$(PG_CONFIG)' scripts/demo

# Beside their peers, which the Python of BENCH_PYTHON has to have: see docs/benchmarks.md
BENCH_PYTHON = python3
BENCH_DATA = ../shared/data
BENCH_ARGS =

# Each of these two runs its parts one after another; BENCH_ARGS are for a part by itself.
bench-quality: bench-quality-tables bench-quality-deep bench-robust
bench-speed: bench-speed-tables bench-speed-deep

bench-quality-tables:
	PG_CONFIG='$(PG_CONFIG)' scripts/cluster $(BENCH_PYTHON) test/bench/quality.py --data '$(abspath $(BENCH_DATA))' $(BENCH_ARGS)

bench-quality-deep:
	PG_CONFIG='$(PG_CONFIG)' scripts/cluster $(BENCH_PYTHON) test/bench/quality_deep.py --data '$(abspath $(BENCH_DATA))' $(BENCH_ARGS)

bench-robust:
	PG_CONFIG='$(PG_CONFIG)' scripts/cluster $(BENCH_PYTHON) test/bench/robust_heart.py $(BENCH_ARGS)

# Are rows that embeddings put near each other of one class?
bench-neighbours:
	PG_CONFIG='$(PG_CONFIG)' scripts/cluster $(BENCH_PYTHON) test/bench/neighbours.py $(BENCH_ARGS)

bench-rounding:
	PG_CONFIG='$(PG_CONFIG)' scripts/cluster $(BENCH_PYTHON) test/bench/rounding.py $(BENCH_ARGS)

# Exported models beside onnxruntime and PyTorch, to 1e-5
check-onnx:
	PG_CONFIG='$(PG_CONFIG)' scripts/cluster $(BENCH_PYTHON) test/bench/check_onnx.py
	PG_CONFIG='$(PG_CONFIG)' scripts/cluster $(BENCH_PYTHON) test/bench/check_onnx_fields.py

bench-speed-tables:
	PG_CONFIG='$(PG_CONFIG)' scripts/cluster $(BENCH_PYTHON) test/bench/speed.py $(BENCH_ARGS)

bench-serving:
	IDLA_CLUSTER_OPTIONS='shared_buffers = 2GB' PG_CONFIG='$(PG_CONFIG)' scripts/cluster $(BENCH_PYTHON) test/bench/serving.py $(BENCH_ARGS)

bench-distil:
	PG_CONFIG='$(PG_CONFIG)' scripts/cluster $(BENCH_PYTHON) test/bench/distil.py --data '$(abspath $(BENCH_DATA))' $(BENCH_ARGS)

bench-shared:
	PG_CONFIG='$(PG_CONFIG)' scripts/cluster $(BENCH_PYTHON) test/bench/shared.py $(BENCH_ARGS)

# The engine alone beside PyTorch: no server is needed.
BENCH_DEEP = deep recurrent attention

bench-speed-deep:
	$(MAKE) -f engine.mk $(BENCH_DEEP:%=build/plain/speed_%)
	for bench in $(BENCH_DEEP); do $(BENCH_PYTHON) test/bench/speed_$$bench.py $(BENCH_ARGS) || exit 1; done

# Writes what the examples show now into the pages (docs/house.md says how they are written).
docs:
	PG_CONFIG='$(PG_CONFIG)' scripts/renew-docs

# Objects of src/pg for one more server, nothing linked: make compile-check PG_CONFIG=/opt/pg18/bin/pg_config
compile-check: $(PG_OBJS)
