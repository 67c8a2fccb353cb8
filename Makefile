# SPDX-License-Identifier: GPL-2.0
#
# Verbs only: Kbuild says what the module is made of, tools/Makefile builds
# user space. "make help" lists the verbs.

MAKEFLAGS += --no-print-directory

# Everything is built in the cache, one folder per checkout and kernel, so
# that one checkout serves several kernels at a time.
CACHE	:= $(or $(XDG_CACHE_HOME),$(or $(HOME),/root)/.cache)/stt
TREE	:= $(notdir $(CURDIR))-$(shell echo $(CURDIR) | sha1sum | cut -c 1-8)
BUILD	:= $(CACHE)/build/$(TREE)

# The running kernel if it can be built for, else that of the virtual machine.
RUNNING	:= $(shell uname -r)
KVER	?= $(if $(wildcard /lib/modules/$(RUNNING)/build/Makefile),$(RUNNING),$\
	$(shell selftests/vm/setup --kver))
KDIR	?= /lib/modules/$(KVER)/build
MODDIR	?= $(INSTALL_MOD_PATH)/lib/modules/$(KVER)/updates

VERSION	= $(or $(shell git describe --tags --always 2>/dev/null),0)
DKMSDIR	= $(DESTDIR)/usr/src/stt-$(VERSION)
SOURCES	= Kbuild $(wildcard *.c *.h) include compat-include

JOBS	= $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell nproc))

# $(call kbuild,VARIANT,ARGUMENTS): kbuild writes next to the sources, so give
# it a folder of links to them.
kbuild = @test -e $(KDIR)/Makefile || \
	{ echo "No headers of kernel $(or $(KVER),$(RUNNING)); on Debian:" \
	       "apt-get install linux-headers-$(or $(KVER),$(RUNNING))" >&2; \
	  exit 1; }; \
	dir=$(BUILD)/$(KVER)$(1:%=-%); \
	mkdir -p $$dir && exec 9<$$dir && flock 9 && \
	find $$dir -maxdepth 1 -type l -delete && \
	ln -s $(addprefix $(CURDIR)/,$(SOURCES)) $$dir/ && \
	$(MAKE) $(JOBS) -C $(KDIR) M=$$dir $(2) modules

# Where the guest finds what was built for it.
GUEST	= -e STT_KO=$(BUILD)/$(KVER)/stt.ko -e STT_PLUGIN_DIR=$(BUILD)/tools \
	  -e STT_DEBUG_KO=$(BUILD)/$(KVER)-debug/stt.ko \
	  $(if $(STT_FULL),-e STT_FULL=$(STT_FULL))
FOR_VM	= KVER=$$(selftests/vm/setup --kver)

all: modules tools

# vport-stt.ko is built only for kernels that it can be for.
modules: module
	@for ko in stt.ko vport-stt.ko; do \
		if ! [ -e $(BUILD)/$(KVER)/$$ko ]; then rm -f $$ko; \
		elif ! cmp -s $(BUILD)/$(KVER)/$$ko $$ko; then \
			cp $(BUILD)/$(KVER)/$$ko . || exit; \
		fi; \
	done

# The module in the cache alone; debug has assertions, messages and unit tests.
module:
	$(call kbuild)

debug:
	$(call kbuild,debug,STT_DEBUG=y)

coverage-module:
	$(call kbuild,coverage,STT_COVERAGE=y)

tools:
	@$(MAKE) -C tools O=$(BUILD)/tools $(if $(WERROR),WERROR=1)

# Compiles everything once more with all warnings, for selftests/lint.
sparse:
	$(call kbuild,sparse,C=2 KBUILD_CHECKSRC=2 $\
		CF="-D__CHECK_ENDIAN__ -D__typeof_unqual__=__typeof__" W=1)

demo:
	@selftests/vm/setup build vm tests
	@$(MAKE) $(FOR_VM) guest-demo

check:
	@selftests/vm/setup build vm tests lint
	@$(MAKE) $(FOR_VM) guest-check

# RINGS="..." chooses what, and has more, see selftests/check-full -l.
check-full:
	@selftests/check-full $(RINGS)

shell:
	@selftests/vm/setup build vm tests
	@$(MAKE) $(FOR_VM) guest-shell

guest-demo: module tools
	@selftests/vm/run $(GUEST) selftests/demo.sh

guest-check:
	@selftests/check $(GUEST) $(TESTS)

guest-shell: module tools
	@selftests/vm/run -i $(GUEST) selftests/run-suite --shell

BENCHDIR = $(CACHE)/bench/last

# BENCH="--peer stt,vxlan --profile" chooses what; see bench/run --help.
bench:
	@selftests/vm/setup build vm tests
	@selftests/vm/setup bench
	@BUILD=$(BUILD) bench/run $(BENCH)

bench-quick:
	@selftests/vm/setup build vm tests
	@BUILD=$(BUILD) bench/run --quick $(BENCH)

# The table and the chart of Documentation/benchmark.rst.
bench-docs: bench
	@{ echo '# SPDX-License-Identifier: GPL-2.0'; \
	   bench/run --report $(BENCH); } >Documentation/benchmark.txt
	@cp $(BENCHDIR)/results.json Documentation/benchmark.json
	@bench/chart $(BENCHDIR)/results.json Documentation/benchmark.svg

# Throughput in real time, in User Mode Linux.
bench-wallclock:
	@selftests/vm/setup build vm tests
	@bench/wallclock $(BENCH)

# Fails if NEW, a revision or . for this tree, costs more than OLD.
OLD	= HEAD
NEW	= .
bench-compare:
	@selftests/vm/setup build vm tests
	@bench/compare $(OLD) $(NEW) $(BENCH)

lint:
	@selftests/vm/setup build lint
	@$(MAKE) $(FOR_VM) guest-lint

guest-lint:
	@selftests/lint

install:
	@test -e stt.ko || { echo "Please run make first" >&2; exit 1; }
	@for ko in $(wildcard *.ko); do \
		case "$$(modinfo -F vermagic $$ko)" in "$(KVER) "*) ;; \
		*) echo "$$ko was not built for kernel $(KVER)" >&2; exit 1 ;; \
		esac; \
	done
	install -d $(MODDIR)
	install -m 644 $(wildcard *.ko) $(MODDIR)/
	depmod $(if $(INSTALL_MOD_PATH),-b $(INSTALL_MOD_PATH)) $(KVER)
	@$(MAKE) -C tools O=$(BUILD)/tools install

uninstall:
	rm -f $(MODDIR)/stt.ko $(MODDIR)/vport-stt.ko
	depmod $(if $(INSTALL_MOD_PATH),-b $(INSTALL_MOD_PATH)) $(KVER)
	@$(MAKE) -C tools O=$(BUILD)/tools uninstall

# Rebuilt by DKMS for every kernel that gets installed.
dkms-install:
	install -d $(DKMSDIR)
	cp -r $(SOURCES) LICENSE $(DKMSDIR)/
	sed 's/@VERSION@/$(VERSION)/' packaging/dkms/dkms.conf.in \
		>$(DKMSDIR)/dkms.conf
	$(if $(DESTDIR),,dkms install -k $(KVER) stt/$(VERSION))

clean:
	rm -rf $(BUILD) stt.ko vport-stt.ko
	@$(MAKE) -C tools clean

help:
	@echo 'make               build the modules (for kernel $(or $(KVER),none found)) and the tools'
	@echo 'make debug         build with assertions and unit tests, in the cache'
	@echo 'make demo          show two hypervisors and their VMs, in a virtual machine'
	@echo 'make check         style checks, builds, all tests, in a virtual machine;'
	@echo '                   TESTS="t-x.sh ..." chooses tests, STT_FULL=1 adds long ones'
	@echo 'make check-full    other kernels, kernels with checks of their own, coverage,'
	@echo '                   torture: an hour; RINGS="..." chooses, see selftests/check-full'
	@echo 'make shell         interactive virtual machine with the module loaded'
	@echo 'make bench         measure stt and other tunnels, in a virtual machine;'
	@echo '                   BENCH="..." chooses what, see bench/run --help'
	@echo 'make bench-quick   the cases that matter most, in less than 5 minutes'
	@echo 'make bench-docs    all of it, into Documentation/benchmark.*'
	@echo 'make bench-wallclock   throughput in real time, in User Mode Linux'
	@echo 'make bench-compare these for two revisions, OLD=HEAD NEW=. (this tree)'
	@echo 'make lint          style checks alone'
	@echo 'make install       modules, ip(8) plugin, manual pages (as root)'
	@echo 'make uninstall     remove them'
	@echo 'make dkms-install  install the sources for DKMS (as root)'
	@echo 'make clean         remove what was built for this checkout'
	@echo 'make -C selftests run_tests   the tests on this machine, as root'
	@echo 'KVER= or KDIR= chooses another kernel to build for'

.PHONY: all modules module debug coverage-module tools sparse demo check \
	check-full shell bench bench-quick bench-compare bench-docs \
	bench-wallclock lint install uninstall dkms-install clean help \
	guest-demo guest-check guest-shell guest-lint
