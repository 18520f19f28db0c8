# engine.mk: the engine (src/device, src/nn, src/learn) as plain C11, without a server.
#
# Included by the Makefile, and a makefile of its own on a machine without
# PostgreSQL: make -f engine.mk engine-test. No include path of a server is given,
# so that a server header cannot be found; scripts/check-arrows refuses the
# rest of the upward includes before anything is compiled.
#
# -fno-math-errno and -fno-trapping-math leave every result as it is (they only say
# that nobody reads errno or the exception flags after arithmetic);
# -ffp-contract=off keeps products and sums separate unless the code asks for fma.

ENGINE_WARNINGS = -Wall -Wextra -Werror
ENGINE_COMMON = -std=c11 -D_GNU_SOURCE -Iinclude -fPIC -fvisibility=hidden -ffp-contract=off \
	-fno-math-errno -fno-trapping-math -g $(ENGINE_WARNINGS)
ENGINE_plain = -O3 $(ENGINE_COMMON)
ENGINE_asan = $(SANITIZED_LEVEL) -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer $(ENGINE_COMMON)
SANITIZED_LEVEL = -O1
ENGINE_LIBS = -lpng -lturbojpeg -lutf8proc -lm -lpthread -ldl

ENGINE_SOURCES := $(sort $(wildcard src/device/*.c src/nn/*.c src/learn/*.c))
ENGINE_HEADERS := $(sort $(wildcard include/idla/*.h src/device/*.h src/nn/*.h src/learn/*.h))
UNIT_SOURCES := $(sort $(wildcard test/unit/test_*.c))
UNIT_NAMES := $(UNIT_SOURCES:test/unit/%.c=%)
FUZZ_SOURCES := $(sort $(wildcard test/fuzz/fuzz_*.c))
BENCH_SOURCES := $(sort $(wildcard test/bench/*.c))

ENGINE_OBJS := $(ENGINE_SOURCES:src/%.c=build/plain/%.o)

.PHONY: engine engine-plain engine-asan engine-tests-built engine-test engine-fuzz engine-bench check-arrows
.DELETE_ON_ERROR:

# The goal when this file is used alone; the Makefile names its own first.
engine: engine-plain

engine-plain: build/plain/libidla_engine.a
engine-asan: build/asan/libidla_engine.a
engine-tests-built: $(UNIT_NAMES:%=build/plain/%) $(UNIT_NAMES:%=build/asan/%)

# Every unit test, plain and under the sanitizers; fails when any does.
engine-test: engine-tests-built
	scripts/run-tests unit unit-sanitized

# Readers of untrusted bytes under libFuzzer; scripts/run-fuzzer runs them on test/fuzz/corpus.
engine-fuzz: $(FUZZ_SOURCES:test/fuzz/%.c=build/fuzz/%)

# Training against its matrix products alone: see test/bench/speed_engine.c.
engine-bench: build/plain/speed_engine
	$<

# The programs that scripts in test/bench run beside their peers, and the one above: each says in its file what it measures.
$(BENCH_SOURCES:test/bench/%.c=build/plain/%): build/plain/%: test/bench/%.c build/plain/libidla_engine.a engine.mk
	$(CC) $(ENGINE_plain) -Isrc -MMD -MP -MF $@.d -o $@ $< build/plain/libidla_engine.a $(ENGINE_LIBS)

# An upward include fails the build before the first compilation.
check-arrows: build/arrows.ok
build/arrows.ok: scripts/check-arrows $(ENGINE_SOURCES) $(ENGINE_HEADERS)
	@mkdir -p $(@D)
	scripts/check-arrows
	@touch $@

define ENGINE_FLAVOUR
$(ENGINE_SOURCES:src/%.c=build/$(1)/%.o): build/$(1)/%.o: src/%.c engine.mk | build/arrows.ok
	@mkdir -p $$(@D)
	$$(CC) $$(ENGINE_$(1)) -MMD -MP -c -o $$@ $$<

build/$(1)/libidla_engine.a: $(ENGINE_SOURCES:src/%.c=build/$(1)/%.o)
	rm -f $$@
	ar rcs $$@ $$^

# Tests may look at private headers of the engine, hence -Isrc.
$(UNIT_NAMES:%=build/$(1)/%): build/$(1)/%: test/unit/%.c build/$(1)/libidla_engine.a engine.mk
	$$(CC) $$(ENGINE_$(1)) -Isrc -Itest/unit -MMD -MP -MF $$@.d -o $$@ $$< build/$(1)/libidla_engine.a $$(ENGINE_LIBS)
endef

$(eval $(call ENGINE_FLAVOUR,plain))
$(eval $(call ENGINE_FLAVOUR,asan))

# ---- fuzzers ----

# They are clang's, and so are the parts of the engine that read bytes: learn, and what it needs when no net is run.
FUZZ_CC = clang
ENGINE_fuzz = -O1 -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer $(ENGINE_COMMON)
FUZZ_OBJS := $(patsubst src/%.c,build/fuzz/%.o,$(filter src/learn/%,$(ENGINE_SOURCES)) src/device/session.c src/device/random.c)

$(FUZZ_OBJS): build/fuzz/%.o: src/%.c engine.mk | build/arrows.ok
	@mkdir -p $(@D)
	$(FUZZ_CC) $(ENGINE_fuzz) -fsanitize=fuzzer-no-link -MMD -MP -c -o $@ $<

build/fuzz/libidla_engine.a: $(FUZZ_OBJS)
	rm -f $@
	ar rcs $@ $^

$(FUZZ_SOURCES:test/fuzz/%.c=build/fuzz/%): build/fuzz/%: test/fuzz/%.c build/fuzz/libidla_engine.a engine.mk
	$(FUZZ_CC) $(ENGINE_fuzz) -fsanitize=fuzzer -Isrc -MMD -MP -MF $@.d -o $@ $< build/fuzz/libidla_engine.a $(ENGINE_LIBS)

# Optimising the checked form of code that is all inlined takes minutes; running it slowly takes seconds.
build/asan/device/kernels_%.o: SANITIZED_LEVEL = -O0

-include $(wildcard build/*/*.d build/*/*/*.d)
