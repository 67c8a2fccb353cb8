#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The ip(8) plugin, without a kernel that knows the kind "stt": what it sends,
# what it refuses, what it prints and what it needs of ip(8).
#
# Usage: plugin.sh [host | SUITE]...
#
# host (the default) is the ip of this machine. That of a Debian suite is
# fetched once and runs in a chroot of its own libraries, with the plugin
# installed where that ip looks for it.

set -u
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=selftests/lib.sh
. "$here/lib.sh"

require ip strace nm make cc unshare /usr/bin/python3
strace -o /dev/null true 2>/dev/null || skip "strace may not trace here"

# A network namespace of our own, and with it the right to chroot.
isolate=(unshare --net)
[ "$(id -u)" = 0 ] || isolate=(unshare --user --map-root-user --net)
"${isolate[@]}" true 2>/dev/null || skip "may not make a namespace"

# Copies of the suites' trees are hard links, hence made beside them.
cache=${XDG_CACHE_HOME:-$HOME/.cache}/stt
mkdir -p "$cache" || exit 1
work=$(mktemp -d "$cache/plugin.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"

build()
{
	make -s -C "$here/../tools" O="$work" WERROR=1 &&
		cc -O2 -Wall -Wextra -Werror -fPIC -shared \
			-o "$work/link_probe.so" "$here/plugin_probe.c"
}

targets=()
[ $# -gt 0 ] || set -- host
for suite; do
	if [ "$suite" = host ]; then
		targets+=(host)
	elif tree=$("$here/vm/iproute2-tree" "$suite" 2>"$work/why"); then
		cp -al "$tree" "$work/$suite" || exit 1
		targets+=("$suite=$work/$suite")
	elif [ $? -eq "$KSFT_SKIP" ]; then
		targets+=("$suite#$(tail -n 1 "$work/why")")
	else
		targets+=("$suite!$(tail -n 1 "$work/why")")
	fi
done

if ! messages=$(build 2>&1); then
	ktap_plan 1
	ktap_comment <<<"$messages"
	fail "plugin builds"
	exit 1
fi
"${isolate[@]}" "$here/plugin.py" "$work" "${targets[@]}"
