# make          bin/muennet, one static binary, and bin/init, the first process of examples/init
# make demo     the main job, shown on this machine
# make install  into PREFIX (and DESTDIR); make uninstall
# make test     every test; as root it installs the Debian packages they need
# make vm-test  muennet in virtual machines; as root it installs QEMU, and unpacks two kernels into bin
# make minimal-kernel  builds a third one for vm-test, with hardly any option
# make check    lint (gofmt, vet, staticcheck, textlint), oldest, check-gen, race, fuzz, smoke (each benchmark once)
# make oldest   builds with the oldest Go that go.mod allows
# make gen      the files made from others; check-gen tells whether they are those committed
# make fuzz     each fuzz target; FUZZTIME=10m for longer
# make bench    muennet compared with veth and others (as root, half an hour); BENCHFLAGS=-quick
# make micro    benchmarks of the packet path
# make clean    remove what was built

GO          ?= go
STATICCHECK ?= honnef.co/go/tools/cmd/staticcheck@v0.8.2
# A number of inputs, not a time: the result does not depend on the machine.
FUZZTIME    ?= 300000x
# What tests run besides the program itself.
PACKAGES    := iproute2 iputils-ping tcpdump net-tools nftables iptables ethtool kmod strace qemu-user

# What make gen runs: this compiler and no other makes the same bytes.
GEN_TOOL    := clang-14
GEN_PACKAGES := clang-14 llvm-14 libbpf-dev
GENERATED    = $(wildcard internal/skbmark/*_bpfel.*)

# Plain users have bin in their path, not sbin, and may look at everything.
PREFIX      ?= /usr/local
BINDIR      ?= $(PREFIX)/bin
# For what programs bring along; /etc is the administrator's.
MODPROBEDIR ?= /usr/lib/modprobe.d
BINARY      ?= bin/muennet

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || cat VERSION 2>/dev/null)
COMMIT  := $(shell git rev-parse HEAD 2>/dev/null)
CLI     := github.com/muennet/muennet/internal/cli
LDFLAGS := -s -w -X $(CLI).release=$(VERSION) -X $(CLI).commit=$(COMMIT)

# The version comes from above; the go command would fail where the checkout
# belongs to another user.
export GOFLAGS := -buildvcs=false $(GOFLAGS)

REPORT  := bin/testreport -count=1 -timeout=20m

# The comparison is a module of its own: programs that import muennet do not get
# what draws its charts.
BENCH   := $(GO) -C bench

.PHONY: build demo install uninstall test check lint oldest gen check-gen race fuzz smoke bench micro packages tools vm-test minimal-kernel clean

build:
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/muennet ./cmd/muennet
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w' -o bin/init ./examples/init
	@wc -c bin/muennet bin/init | awk '$$2 != "total" { printf "%s: %.1f MiB\n", $$2, $$1 / 1048576 }'

bin/muennet:
	$(MAKE) build

# Builds only where nothing is built yet: root need not have Go. The file is not
# called muennet.conf there, because one of that name in /etc/modprobe.d, with
# the administrator's options, would take its place.
install: $(BINARY)
	install -D -m 0755 $(BINARY) $(DESTDIR)$(BINDIR)/muennet
	ln -sf muennet $(DESTDIR)$(BINDIR)/muennet_cfg
	sed 's,/usr/local/bin/,$(BINDIR)/,' packaging/modprobe.d/muennet.conf | install -D -m 0644 /dev/stdin $(DESTDIR)$(MODPROBEDIR)/muennet-load.conf

uninstall:
	rm -f $(DESTDIR)$(BINDIR)/muennet $(DESTDIR)$(BINDIR)/muennet_cfg $(DESTDIR)$(MODPROBEDIR)/muennet-load.conf

demo: build
	./bin/muennet demo

tools:
	@$(GO) build -o bin/testreport ./internal/tools/testreport

# The pure packages run on arm64 as well: memory ordering is code of its own there.
ARM64   := ./shmstream/ ./element/ ./internal/checksum/ ./internal/packet/ ./internal/offload/ ./internal/params/

test: packages tools
	$(REPORT) $$($(GO) list ./... | grep -v '/test/vm$$')
	cd bench && ../$(REPORT) ./...
	@if command -v qemu-aarch64 >/dev/null; then set -x; \
		GOARCH=arm64 CGO_ENABLED=0 $(REPORT) -exec qemu-aarch64 $(ARM64); \
	else echo "not tested on arm64, for there is no qemu-aarch64: $(ARM64)"; fi

# Verbose, because the tests print figures. What cannot be had is their business:
# without it they are skipped, or in CI fail.
vm-test: tools
	-@$(MAKE) --no-print-directory packages PACKAGES=qemu-system-x86
	-test/vm/fetch-kernel bin/vm
	-@test/vm/fetch-kernel bin/vm-newest testing bookworm-backports
	$(REPORT) -v ./test/vm/

KERNEL_PACKAGES := linux-source-6.1 gcc make flex bison bc libelf-dev libssl-dev xz-utils

# Once: it takes some minutes, and is no part of CI.
minimal-kernel:
	@$(MAKE) --no-print-directory packages PACKAGES="$(KERNEL_PACKAGES)"
	test/vm/minimal-kernel bin/vm-minimal

# With make -k all of them run, whatever fails.
check: lint oldest check-gen race fuzz smoke

race: packages tools
	$(REPORT) -race $$($(GO) list ./... | grep -v -e /test/e2e -e '/test/vm$$')
	cd bench && ../$(REPORT) -race ./...

lint:
	@unformatted=$$(gofmt -l .); test -z "$$unformatted" || { echo "gofmt: $$unformatted"; exit 1; }
	GOARCH=amd64 $(GO) vet ./...
	GOARCH=arm64 CGO_ENABLED=0 $(GO) vet ./...
	$(GO) run ./internal/tools/textlint
	GOOS=darwin CGO_ENABLED=0 $(GO) build ./api ./client ./element ./shmstream
	$(GO) run $(STATICCHECK) ./...
	$(BENCH) vet ./...
	$(BENCH) run $(STATICCHECK) ./...

# The language version in go.mod keeps new syntax out, not new functions of the
# standard library.
oldest:
	@version=go$$(sed -n 's/^go //p' go.mod); \
	if ! GOTOOLCHAIN=$$version $(GO) version >/dev/null 2>&1; then echo "not built with $$version, which cannot be had here"; exit 0; fi; \
	set -x; GOTOOLCHAIN=$$version $(GO) vet ./...

gen:
	$(GO) generate ./...

# As root it installs the compiler where there is a package of it.
check-gen:
	@if ! command -v $(GEN_TOOL) >/dev/null && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -q; \
		if apt-cache show $(GEN_TOOL) >/dev/null 2>&1; then $(MAKE) packages PACKAGES="$(GEN_PACKAGES)" || exit 1; fi; \
	fi; \
	if ! command -v $(GEN_TOOL) >/dev/null; then echo "generated files are not checked: no $(GEN_TOOL)"; exit 0; fi; \
	before=$$(sha256sum $(GENERATED)); \
	$(MAKE) gen || exit 1; \
	test "$$before" = "$$(sha256sum $(GENERATED))" || { echo "make gen has made other files than those committed: $(GENERATED)"; exit 1; }

fuzz:
	@grep -rHo --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' . | sort | while IFS=: read -r file func; do \
		set -x; $(GO) test -run '^$$' -fuzz "^$${func#func }\$$" -fuzztime $(FUZZTIME) "$$(dirname "$$file")" || exit 1; \
	done

# Each benchmark once, so that none rots.
smoke:
	$(GO) test -run '^$$' -bench . -benchtime 1x ./...
	$(BENCH) test -run '^$$' -bench . -benchtime 1x ./...

# What muennet is compared with, as far as it can be installed.
BENCH_PACKAGES := ethtool vde2 socat wireguard-go wireguard-tools slirp4netns passt
BENCHFLAGS     ?= -out bench/results

bench: build
	-@$(MAKE) --no-print-directory packages PACKAGES="$(BENCH_PACKAGES)"
	$(BENCH) build -o ../bin/bench .
	./bin/bench $(BENCHFLAGS)
	./bin/bench -scale $(BENCHFLAGS)

micro:
	$(GO) test -run '^$$' -bench . -benchmem ./shmstream ./element ./internal/datapath

# Installs what is missing where that is possible, and otherwise says what is.
packages:
	@command -v dpkg-query >/dev/null || exit 0; \
	for p in $(PACKAGES); do \
		dpkg-query -W -f '$${Status}' $$p 2>/dev/null | grep -q ' installed$$' || missing="$$missing $$p"; \
	done; \
	test -n "$$missing" || exit 0; \
	if [ "$$(id -u)" = 0 ]; then set -e -x; \
		apt-get update -q; \
		DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $$missing; \
	else echo "what needs them is skipped: apt-get install$$missing"; fi

clean:
	rm -rf bin
