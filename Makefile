# A thin front for meson. CC=clang and SAN=address|thread have build directories of their own.
CC_NAME := $(if $(filter default,$(origin CC)),gcc,$(lastword $(notdir $(CC))))
SAN ?=
B := build$(if $(filter-out gcc cc,$(CC_NAME)),-$(CC_NAME))$(if $(SAN),-$(SAN))

SANITIZE_address := -Db_sanitize=address,undefined -Db_lundef=false
SANITIZE_thread := -Db_sanitize=thread -Db_lundef=false
PREFIX ?= /usr/local
OPTIONS = --prefix=$(PREFIX) $(SANITIZE_$(SAN))

ifneq ($(filter-out address thread,$(SAN)),)
$(error SAN is address or thread)
endif

SETUP := CC=$(CC_NAME) SAN=$(SAN) tools/setup
C_FILES = $(wildcard include/*.h include/*/*.h $(foreach d,src/* cmd test kill bench fuzz examples,$d/*.[ch]))

build: $(B)/build.ninja
	@ninja -C $(B)

$(B)/build.ninja:
	@$(SETUP) core
	@CC="$(if $(filter default,$(origin CC)),gcc,$(CC))" meson setup $(OPTIONS) $(B)

run: build
	@$(B)/prusik demo

# Arguments for meson, such as the names of tests: make test ARGS=common
test:
	@$(SETUP) core test
	@$(MAKE) --no-print-directory configured
	@rm -f $(B)/meson-logs/testlog.json
	@ninja -C $(B)
	@meson test -C $(B) --no-rebuild --no-suite kill --print-errorlogs $(ARGS)
	@test -e $(B)/meson-logs/testlog.json || { echo "make test: ARGS names no test" >&2; exit 2; }

check: test

kill:
	@$(SETUP) core test
	@$(MAKE) --no-print-directory configured
	@ninja -C $(B) kill/prusik-kill
	@$(B)/kill/prusik-kill --glibc --stride=5
	@rm -f $(B)/meson-logs/testlog.json
	@meson test -C $(B) --suite kill --print-errorlogs $(ARGS)
	@test -e $(B)/meson-logs/testlog.json || { echo "make kill: ARGS names no test" >&2; exit 2; }

# Take one protocol line out at a time: does the kill matrix notice?
mutants:
	@$(SETUP) core test
	@CC=$(CC_NAME) tools/mutants $(ARGS)

# Spin over model/: each protocol holds, each seeded error is found. ARGS=--all, ARGS=lock/
model:
	@$(SETUP) core model
	@tools/models $(ARGS)
# Libfuzzer, for so many seconds: make fuzz NOUN=arena SECONDS=60
NOUN ?= arena
SECONDS ?= 60
fuzz:
	@$(SETUP) core
	@$(MAKE) --no-print-directory CC=clang B=build-clang build-clang/build.ninja
	@ninja -C build-clang fuzz/fuzz-$(NOUN)
	@mkdir -p build-clang/corpus-$(NOUN)
	@build-clang/fuzz/fuzz-$(NOUN) -max_total_time=$(SECONDS) -timeout=20 -rss_limit_mb=1024 \
		build-clang/corpus-$(NOUN) fuzz/corpus/$(NOUN)

# Arguments for the harness: make bench ARGS='--quick queue'
bench:
	@$(SETUP) core bench
	@$(MAKE) --no-print-directory $(B)/build.ninja
	@ninja -C $(B) bench/prusik-bench
	@$(B)/bench/prusik-bench $(ARGS)

# A build directory made before Check was there does not know its tests.
configured: $(B)/build.ninja
	@meson introspect $(B) --tests | grep -q test-common || meson setup --reconfigure $(B)

format:
	@clang-format -i $(C_FILES)

format-check:
	@clang-format --dry-run -Werror $(C_FILES)

install: build
	@meson install -C $(B) --no-rebuild

clean:
	@rm -rf $(B)

where:
	@echo $(B)

.PHONY: build run test check kill mutants model fuzz bench configured format format-check install clean where
