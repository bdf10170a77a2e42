# ssecastd: `make help` lists what there is to make.
#
# Everything that is made lies in $(BUILD), which a sanitizer build has for itself, so that both
# live side by side. Only `make check` and `make lint` need more than a C compiler, make and the
# libc headers.

BUILD    ?= build
SANITIZE ?=
PREFIX   ?= /usr/local
DESTDIR  ?=
WERROR   ?=
CFLAGS   ?= -O2 -g
JOBS     ?= 4
ARGS     ?=
V        ?= 0

BINDIR  = $(PREFIX)/bin
UNITDIR = $(PREFIX)/lib/systemd/system
CONFDIR = /etc/ssecastd
MANDIR  = $(PREFIX)/share/man/man8

WARNINGS = -Wall -Wextra -Wconversion -Wsign-conversion -Wshadow -Wstrict-prototypes \
	-Wmissing-prototypes $(WERROR)
LANGUAGE = -std=c11 -D_GNU_SOURCE -Iinclude

# What this compiler for this machine knows of these: returns and jumps only where they may go.
CONTROL_FLOW := $(firstword $(foreach flag,-fcf-protection=full -mbranch-protection=standard,\
	$(shell $(CC) -Werror $(flag) -x c -c /dev/null -o /dev/null 2>/dev/null && echo $(flag))))

ifeq ($(SANITIZE),)
HARDEN  = -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fstack-clash-protection
HARDEN += -fPIE $(CONTROL_FLOW)
LINK    = -pie -Wl,-z,relro,-z,now,-z,noexecstack
else ifeq ($(SANITIZE),coverage)
HARDEN  = -DTEST_UNCONFINED --coverage
LINK    = --coverage
else
HARDEN  = -DTEST_UNCONFINED -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
LINK    = -fsanitize=address,undefined
endif

COMPILE   = $(CC) $(LANGUAGE) $(WARNINGS) $(CFLAGS) $(HARDEN) -MMD -MP $(CPPFLAGS)
CRITERION = $(shell pkg-config --cflags criterion)
LINK_TEST = $(CC) $(CFLAGS) $(LINK) $(LDFLAGS) -o $@ $^ $(shell pkg-config --libs criterion)
# The daemon that lives in a test has the clock and the kernel that the test gives it.
$(BUILD)/unit $(BUILD)/replay $(BUILD)/faults: LINK += -Wl,--wrap=clock_gettime,--wrap=sock_send,--wrap=hub_is_late
$(BUILD)/faults: LINK += $(shell sed -n 's/^	{ "\([a-z0-9_]*\)", .*/-Wl,--wrap=\1/p' \
	tests/faults/calls.c) $(patsubst %,-Wl$(comma)--wrap=%,syscall ferror __openat_2 __asprintf_chk main)

SOURCES  = $(wildcard src/*.c)
UNITS    = $(wildcard tests/unit/*.c)
BLACKBOX = $(wildcard tests/blackbox/*.c tests/lib/*.c)
REPLAY   = $(wildcard tests/fuzz/*.c) tests/unit/house.c
FAULTS   = $(wildcard tests/faults/*.c) tests/unit/house.c tests/lib/token.c
# What ssebench judges streams by.
JUDGE    = tests/bench/histogram.c tests/bench/payload.c tests/bench/reader.c
# What the black-box tests borrow from the daemon: nothing that they check.
BORROWED = src/str.c src/buf.c src/clock.c src/hmac.c src/sha256.c src/sha512.c
# The folders too, so that a file that goes away is noticed.
STATIC   = $(shell find static)
SCRIPTS  = src/embed.sh $(wildcard tests/*.sh tests/*/*.sh) .ci/run

comma := ,

# V=1 shows the commands, else what they are for.
say = $(if $(filter 0,$(V)),@echo '  $(1)	$@' &&,)

objects = $(patsubst %.c,$(BUILD)/%.o,$(1))
ASSETS  = $(BUILD)/assets.o
# A later version, for the tests of upgrades: what knows a version is compiled anew.
NEXT     = config daemon main handover upgrade
NEXT_OBJECTS = $(NEXT:%=$(BUILD)/next/src/%.o)
PARTS   = $(filter-out $(BUILD)/src/main.o,$(call objects,$(SOURCES))) $(ASSETS)

.PHONY: all run check check-asan check-browser check-mercure check-proxies check-systemd check-built rules lint bench bench-peers \
	install uninstall clean help
.DELETE_ON_ERROR:
# Objects of tests are kept like all others.
.SECONDARY:

all: $(BUILD)/ssecastd

$(BUILD)/ssecastd: $(BUILD)/src/main.o $(PARTS)
	$(call say,LINK) $(CC) $(CFLAGS) $(LINK) $(LDFLAGS) -o $@ $^

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC) $(COMPILE) -c -o $@ $<

$(BUILD)/tests/%.o: tests/%.c
	@mkdir -p $(@D)
	$(call say,CC) $(COMPILE) -Itests/lib $(CRITERION) -c -o $@ $<

$(BUILD)/assets.c: src/embed.sh $(STATIC)
	@mkdir -p $(@D)
	$(call say,EMBED) sh src/embed.sh static >$@

$(ASSETS): $(BUILD)/assets.c
	$(call say,CC) $(COMPILE) -c -o $@ $<

run: all ## start it on 127.0.0.1:3000 with a control socket (ARGS='more options')
	$(BUILD)/ssecastd --listen 127.0.0.1:3000 --control unix:$(BUILD)/control.sock $(ARGS)

# Tests

check: ## run every test; installs what they need, or says what to install
	sh tests/need.sh
	$(MAKE) check-built

check-asan: ## the same, built with AddressSanitizer and UBSan
	$(MAKE) check BUILD=$(BUILD)/asan SANITIZE=1

check-browser: all ## the tests with browsers and proxies; installs what they need
	sh tests/need.sh nodejs npm chromium firefox-esr nginx haproxy openssl
	SSECASTD=$(BUILD)/ssecastd sh tests/browser/run.sh $(BUILD)/browser

check-mercure: all $(BUILD)/jsoncheck ## the tests with clients of Mercure; installs what they need
	sh tests/need.sh nodejs npm php-cli php-symfony-mercure php-symfony-http-client
	SSECASTD=$(BUILD)/ssecastd JSONCHECK=$(BUILD)/jsoncheck \
		sh tests/mercure/run.sh $(BUILD)/mercure

$(BUILD)/jsoncheck: $(call objects,tests/json/jsoncheck.c src/json.c src/str.c src/buf.c)
	$(call say,LINK) $(CC) $(CFLAGS) $(LINK) $(LDFLAGS) -o $@ $^

check-proxies: all ## streams through nginx, HAProxy, Caddy and Varnish; installs them
	sh tests/need.sh nginx haproxy caddy varnish nghttp2-client openssl
	SSECASTD=$(BUILD)/ssecastd tests/proxies/check.sh

BOXED = $(addprefix $(BUILD)/,ssecastd-next ssecastd.service watcher prisoner)

check-systemd: all $(BOXED) ## the unit under a real systemd, in a box of its own; needs root
	sh tests/need.sh systemd
	sh tests/systemd/check.sh $(BUILD)

check-built: rules all $(BUILD)/unit $(BUILD)/replay $(BUILD)/faults $(BUILD)/blackbox $(BUILD)/ssecastd-next
	sh tests/run.sh $(BUILD)/unit --jobs $(JOBS)
	$(BUILD)/replay tests/fuzz/corpus/*
	$(if $(SANITIZE),,sh tests/check-calls.sh $(BUILD)/src/main.o $(PARTS))
	TMPDIR=$(BUILD) $(BUILD)/faults
	SSECASTD=$(BUILD)/ssecastd SSECASTD_NEXT=$(BUILD)/ssecastd-next \
		sh tests/run.sh $(BUILD)/blackbox --jobs $(JOBS)
	$(if $(SANITIZE),,sh tests/check-hardening.sh $(BUILD)/ssecastd)

.PHONY: fuzz fuzz-coverage coverage check-floods
FUZZ_SECONDS ?= 60

fuzz: ## search for inputs that break what must hold (FUZZ_SECONDS=60, of each target)
	sh tests/need.sh clang
	BUILD=$(BUILD)/fuzz sh tests/fuzz/run.sh $(FUZZ_SECONDS)

fuzz-coverage: ## what of its rooms each fuzz target reaches with the inputs that there are
	sh tests/need.sh clang llvm
	BUILD=$(BUILD)/fuzz sh tests/fuzz/coverage.sh

check-floods: all ## what others notice while hostile clients do their worst; needs root
	sh tests/need.sh iproute2
	$(MAKE) $(BUILD)/floods
	SSECASTD=$(BUILD)/ssecastd sh tests/floods/hosts.sh sh tests/run.sh $(BUILD)/floods --jobs 1

$(BUILD)/floods: $(call objects,$(wildcard tests/floods/*.c tests/lib/*.c) $(BORROWED))
	$(call say,LINK) $(LINK_TEST)

coverage: ## what of each room the tests and kept inputs reach (lines, branches)
	$(MAKE) check BUILD=$(BUILD)/coverage SANITIZE=coverage CFLAGS='-O0 -g'
	sh tests/coverage.sh $(BUILD)/coverage

rules:
	CC='$(CC) $(LANGUAGE)' sh tests/check-layers.sh
	sh tests/check-functions.sh

$(BUILD)/unit: $(call objects,$(UNITS) $(JUDGE)) $(PARTS)
	$(call say,LINK) $(LINK_TEST)

$(BUILD)/faults: $(call objects,$(FAULTS)) $(BUILD)/src/main.o $(PARTS)
	$(call say,LINK) $(CC) $(CFLAGS) $(LINK) $(LDFLAGS) -o $@ $^

$(BUILD)/replay: $(call objects,$(REPLAY)) $(PARTS)
	$(call say,LINK) $(CC) $(CFLAGS) $(LINK) $(LDFLAGS) -o $@ $^

$(BUILD)/watcher $(BUILD)/prisoner: $(BUILD)/%: tests/systemd/%.c
	$(call say,CC) $(COMPILE) $(LINK) $(LDFLAGS) -o $@ $<

$(BUILD)/next/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC) $(COMPILE) -DSSECAST_VERSION='"next"' -DHANDOVER_VERSION=2 -c -o $@ $<

$(BUILD)/ssecastd-next: $(NEXT_OBJECTS) $(filter-out $(NEXT:%=$(BUILD)/src/%.o),$(PARTS))
	$(call say,LINK) $(CC) $(CFLAGS) $(LINK) $(LDFLAGS) -o $@ $^

$(BUILD)/blackbox: $(call objects,$(BLACKBOX) $(BORROWED))
	$(call say,LINK) $(LINK_TEST)

# What cppcheck says of correct code: it does not follow a buffer that a callee fills, nor all branches.
CPPCHECK_WRONG = missingIncludeSystem uninitvar arrayIndexOutOfBoundsCond normalCheckLevelMaxBranches

lint: rules ## formatting, static analysis, scripts, man page
	clang-format --dry-run -Werror include/*.h src/*.c $(wildcard tests/*/*.[ch])
	printf '%s\n' $(SOURCES) | xargs -n 4 -P $(JOBS) sh -c \
		'clang-tidy --quiet "$$@" -- $(LANGUAGE) $(WARNINGS) -O2' tidy
	cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr \
		$(CPPCHECK_WRONG:%=--suppress=%) --error-exitcode=1 -D_GNU_SOURCE -Iinclude src
	if command -v shellcheck >/dev/null; then shellcheck -x -P SCRIPTDIR $(SCRIPTS); fi
	if command -v mandoc >/dev/null; then mandoc -T lint -W warning docs/*.8; fi

# Measuring

ALONE    = limit manager
SSEBENCH = $(filter-out $(ALONE:%=tests/bench/%.c),$(wildcard tests/bench/*.c)) $(BORROWED)

$(BUILD)/bench/ssebench: $(call objects,$(SSEBENCH))
	@mkdir -p $(@D)
	$(call say,LINK) $(CC) $(CFLAGS) $(LINK) $(LDFLAGS) -o $@ $^ -lm

$(ALONE:%=$(BUILD)/bench/%): $(BUILD)/bench/%: $(BUILD)/tests/bench/%.o
	@mkdir -p $(@D)
	$(call say,LINK) $(CC) $(CFLAGS) $(LINK) $(LDFLAGS) -o $@ $^

BENCHES = all $(BUILD)/bench/ssebench $(ALONE:%=$(BUILD)/bench/%)

bench: $(BENCHES) ## measure against the bare loop of send(); writes docs/bench.md
	BUILD=$(BUILD) sh tests/bench/bench.sh

bench-peers: $(BENCHES) ## the same beside nchan, redis and node, from Debian's packages
	sh tests/need.sh nginx libnginx-mod-nchan redis-server nodejs
	BUILD=$(BUILD) sh tests/bench/peers.sh

# Installing

install: all $(BUILD)/ssecastd.service ## into PREFIX (/usr/local), below DESTDIR if set
	install -d $(DESTDIR)$(BINDIR) $(DESTDIR)$(UNITDIR) $(DESTDIR)$(MANDIR) $(DESTDIR)$(CONFDIR)
	install -m 755 $(BUILD)/ssecastd $(DESTDIR)$(BINDIR)/.ssecastd.new
	mv -f $(DESTDIR)$(BINDIR)/.ssecastd.new $(DESTDIR)$(BINDIR)/ssecastd
	install -m 644 $(BUILD)/ssecastd.service $(DESTDIR)$(UNITDIR)/ssecastd.service
	install -m 644 systemd/ssecastd.socket $(DESTDIR)$(UNITDIR)/ssecastd.socket
	install -m 644 docs/ssecastd.8 $(DESTDIR)$(MANDIR)/ssecastd.8
	test -e $(DESTDIR)$(CONFDIR)/ssecastd.conf || \
		install -m 644 systemd/ssecastd.conf $(DESTDIR)$(CONFDIR)/ssecastd.conf

uninstall: ## remove what install put there, but for the configuration
	rm -f $(DESTDIR)$(BINDIR)/ssecastd $(DESTDIR)$(UNITDIR)/ssecastd.service \
		$(DESTDIR)$(UNITDIR)/ssecastd.socket $(DESTDIR)$(MANDIR)/ssecastd.8

# Made anew each time: BINDIR may be another one than the last time.
.PHONY: $(BUILD)/ssecastd.service
$(BUILD)/ssecastd.service: systemd/ssecastd.service.in
	@mkdir -p $(@D)
	sed 's|@BINDIR@|$(BINDIR)|g' $< >$@

clean: ## remove everything that was made
	rm -rf $(BUILD)

help: ## this list
	@echo 'make               build $(BUILD)/ssecastd (V=1 shows the commands)'
	@sed -n 's/^\([a-z-]*\):.*## /\1:/p' Makefile | \
		while IFS=: read -r name text; do printf 'make %-13s %s\n' "$$name" "$$text"; done

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
