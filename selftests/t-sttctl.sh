#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# sttctl(8): every command, as text and as JSON, and every finding of "check"
# that can be provoked here, with the command that it gives for a remedy.
#
# Usage: t-sttctl.sh [TEST]...
#
# long
# timeout: 1500
set -u
cd "$(dirname "$0")" || exit 1
# shellcheck source=selftests/lib.sh
. ./lib.sh

require jq nft ethtool iperf3 ping
sttctl=${STT_PLUGIN_DIR:+$STT_PLUGIN_DIR/sttctl}
[ -x "${sttctl:-}" ] || sttctl=$(command -v sttctl) ||
	skip "sttctl is not built"
# The remedies call it by its name.
PATH=$PATH:$(dirname "$sttctl")

ID=0xfedcba9876543210

# ctl NS ARGUMENT...
ctl()
{
	"$sttctl" -n "$@"
}

# json NS FILTER ARGUMENT...: what FILTER makes of the JSON output; jq fails if
# it is none.
json()
{
	local ns=$1 filter=$2

	shift 2
	"$sttctl" -j -n "$ns" "$@" | jq -er "$filter"
}

# same WANT HAVE
same()
{
	[ "$1" = "$2" ] || { echo "want: $1"; echo "have: $2"; return 1; }
}

# refused TEXT COMMAND...: it fails with status 2, prints nothing, and one
# line on standard error that contains TEXT.
refused()
{
	local text=$1 out rc=0

	shift
	out=$("$@" 2>&1 >/dev/null) || rc=$?
	same 2 "$rc"
	same 1 "$(wc -l <<<"$out")"
	if ! grep -qF -- "$text" <<<"$out"; then
		echo "no \"$text\" in: $out"
		return 1
	fi
	same "" "$("$@" 2>/dev/null || true)"
}

# link_address NS DEV
link_address()
{
	ip -n "$1" -j link show dev "$2" | jq -r '.[0].address'
}

# ---- Devices

show_tells_the_configuration()
{
	ns_create hv
	# shellcheck disable=SC2154
	ip -n "$hv" link add stt0 type stt id "$ID" remote fd00::2 \
		local fd00::1 dstport 7000 srcport 1000 2000 ttl 9 tos 4 \
		flowlabel 5 ageing 77 maxaddress 5 learning dscpcopy
	ip -n "$hv" link add stt1 type stt external keybase 3
	same "$ID" "$(json "$hv" '.[0].config.id_hex' show stt0)"
	# jq rounds it, so look at the text.
	ctl "$hv" -j show stt0 | grep -q '"id":18364758544493064720,'
	same "fd00::2 fd00::1 7000 1000 2000 9 0x4 0x5 77 5 true true" \
		"$(json "$hv" '.[0].config | "\(.remote) \(.local) \(.port) \(
			.port_range.low) \(.port_range.high) \(.ttl) \(.tos) \(
			.label) \(.ageing) \(.limit) \(.learning) \(
			.dscpcopy)"' show stt0)"
	same "true 3" "$(json "$hv" '.[] | select(.ifname == "stt1") |
		"\(.config.external) \(.config.keybase)"' show)"
	same "stt0 stt1" "$(json "$hv" 'map(.ifname) | sort | join(" ")' show)"
	ctl "$hv" show |
		grep -qF "id $ID remote fd00::2 local fd00::1 dstport 7000"
	ctl "$hv" show dev stt1 | grep -qF "external keybase 0x3"
	# All of the text is words that ip takes.
	ip -n "$hv" link del stt0
	ip -n "$hv" link add stt0 type stt id "$ID" remote fd00::2 ttl 9
	words=$(ctl "$hv" show stt0 | sed -n '2,3p' | tr -s ' \n' ' ')
	ip -n "$hv" link del stt0
	# shellcheck disable=SC2086
	ip -n "$hv" link add stt0 type stt $words
	same "$words" "$(ctl "$hv" show stt0 | sed -n '2,3p' | tr -s ' \n' ' ')"
}

show_counts()
{
	topology 1500
	topology_tunnel 4
	# shellcheck disable=SC2154
	in_ns "$vm1" ping -q -c 3 -i 0.2 -w 10 192.0.2.2
	# shellcheck disable=SC2154
	ip -n "$hv1" link set stt0 down
	same "$(link_stat "$hv1" stt0 tx.packets)" \
		"$(json "$hv1" '.[0].stats.tx_packets' show)"
	same "$(link_stat "$hv1" stt0 rx.bytes)" \
		"$(json "$hv1" '.[0].stats.rx_bytes' show)"
	same "$(json "$hv1" '.[0].stats.rx_packets > 3' show)" true
	# What comes while it is down is counted by cause.
	# shellcheck disable=SC2154
	in_ns "$vm2" ping -q -c 2 -i 0.2 -W 1 192.0.2.1 || true
	# Nothing may come between the two readings.
	ip -n "$hv1" link set under0 down
	same "$(ethtool_stat "$hv1" stt0 rx_down)" \
		"$(json "$hv1" '.[0].drops.rx_down' show)"
	same true "$(json "$hv1" '.[0].drops.rx_down > 0' show)"
	ctl "$hv1" show | grep -q 'dropped:.* rx_down [1-9]'
	same false "$(json "$hv1" '.[0].up' show || true)"
}

show_finds_the_namespace_of_the_underlay()
{
	ns_create hv vm
	ip -n "$hv" link add stt0 type stt id 1 remote 10.0.0.2
	same null "$(json "$hv" '.[0].config.link_netnsid // "null"' show)"
	# shellcheck disable=SC2154
	ip -n "$hv" link set stt0 netns "$vm"
	same "[]" "$("$sttctl" -j -n "$hv" show)"
	same "$(ip -n "$vm" -j link show stt0 | jq '.[0].link_netnsid')" \
		"$(json "$vm" '.[0].config.link_netnsid' show stt0)"
}

# ---- FDB

fdb_ns()
{
	ns_create hv
	ip -n "$hv" link add stt0 type stt id "$ID"
	ip -n "$hv" link add stt1 type stt external learning
}

fdb_holds_64_bits()
{
	fdb_ns
	ctl "$hv" fdb add 02:00:00:00:00:01 dev stt1 dst 10.0.0.2 \
		src_id 0xffffffffffffffff id 0x8000000000000001 port 77 \
		via lo static
	same "10.0.0.2 0xffffffffffffffff 0x8000000000000001 77 lo static" \
		"$(json "$hv" '.[0] | "\(.dst) \(.src_id_hex) \(.id_hex) \(
			.port) \(.via) \(.state)"' fdb show dev stt1)"
	words="02:00:00:00:00:01 dev stt1 src_id 0xffffffffffffffff"
	words+=" dst 10.0.0.2 id 0x8000000000000001 port 77 via lo static"
	ctl "$hv" fdb | grep -q "^$words used [0-9.]* updated [0-9.]*$"
	# An entry for another id is another entry.
	ctl "$hv" fdb add 02:00:00:00:00:01 dev stt1 dst 10.0.0.3 src_id 5
	same 1 "$(json "$hv" length fdb show src_id 5)"
	same 2 "$(json "$hv" length fdb show lladdr 02:00:00:00:00:01)"
	ctl "$hv" fdb del 02:00:00:00:00:01 dev stt1 src_id 0xffffffffffffffff
	same 10.0.0.3 "$(json "$hv" '.[].dst' fdb)"
}

fdb_adds_as_bridge_does()
{
	fdb_ns
	ctl "$hv" fdb add 02:00:00:00:00:01 dev stt0 dst 10.0.0.2
	refused "use replace" ctl "$hv" fdb add 02:00:00:00:00:01 dev stt0 \
		dst 10.0.0.3
	ctl "$hv" fdb replace 02:00:00:00:00:01 dev stt0 dst fd00::3 \
		extern_learn router
	ctl "$hv" fdb append default dev stt0 dst 10.0.0.4
	ctl "$hv" fdb append default dev stt0 dst 10.0.0.5
	refused "one destination" ctl "$hv" fdb append 02:00:00:00:00:01 \
		dev stt0 dst 10.0.0.4
	# bridge(8) sees the same.
	same "00:00:00:00:00:00 10.0.0.4
00:00:00:00:00:00 10.0.0.5
02:00:00:00:00:01 fd00::3" "$(bridge -n "$hv" -j fdb show dev stt0 |
		jq -r '.[] | "\(.mac) \(.dst)"' | sort)"
	same "true true" "$(json "$hv" '.[] | select(.mac[:2] == "02") |
		"\(.extern_learn) \(.router)"' fdb show dev stt0)"
	ctl "$hv" fdb del default dev stt0 dst 10.0.0.4
	same 10.0.0.5 "$(json "$hv" '.[].dst' fdb show lladdr default)"
	refused "No FDB entry" ctl "$hv" fdb del default dev stt0 dst 10.0.0.4
}

fdb_flushes_by_what_one_knows()
{
	local i

	fdb_ns
	for i in 1 2 3; do
		ctl "$hv" fdb add 02:00:00:00:00:0$i dev stt0 dst 10.0.0.$i
		ctl "$hv" fdb add 02:00:00:00:01:0$i dev stt0 dst 10.0.0.9 \
			dynamic
		ctl "$hv" fdb append default dev stt0 dst 10.0.0.$i
	done
	same 3 "$(json "$hv" .count fdb flush dev stt0 learned)"
	same 0 "$(json "$hv" .count fdb flush dev stt0 learned || true)"
	same 2 "$(json "$hv" .count fdb flush dev stt0 dst 10.0.0.2)"
	same "2 flushed" "$(ctl "$hv" fdb flush dev stt0)"
	same "10.0.0.1 10.0.0.3" "$(json "$hv" 'map(.dst) | join(" ")' fdb)"
	ctl "$hv" fdb add 02:00:00:00:00:01 dev stt1 dst 10.0.0.1 src_id 5
	ctl "$hv" fdb add 02:00:00:00:00:01 dev stt1 dst 10.0.0.1 src_id 6
	same 1 "$(json "$hv" .count fdb flush dev stt1 src_id 5)"
	same 6 "$(json "$hv" '.[].src_id' fdb show dev stt1)"
}

# A dump takes many messages.
fdb_shows_many()
{
	local n=5000

	fdb_ns
	seq 0 $((n - 1)) | awk '{
			high = int($1 / 256); low = $1 % 256
			printf "fdb add 02:00:00:00:%02x:%02x dev stt0 ",
			       high, low
			printf "dst 10.%d.%d.1 self\n", high, low
		}' | bridge -n "$hv" -batch -
	same "$n" "$(json "$hv" 'map(.mac) | unique | length' fdb)"
	same "$n" "$(ctl "$hv" fdb show dev stt0 | wc -l)"
	same "$n" "$(json "$hv" '.[0].fdb.entries' show stt0)"
	same 1 "$(json "$hv" length fdb show dst 10.1.2.1)"
}

# ---- Events

# monitor_start: events of $hv in $events from now on.
monitor_start()
{
	events=$(mktemp)
	"$sttctl" -j -n "$hv" monitor >"$events" &
	busywait 10 grep -q listening "$events" >/dev/null
}

# event FILTER: there is exactly one such event.
event()
{
	busywait 10 event_count "$1" >/dev/null ||
		{ cat "$events"; return 1; }
}

event_count()
{
	[ "$(jq -c "select($1)" "$events" | wc -l)" = 1 ]
}

monitor_tells_each_change_once()
{
	ns_create hv
	monitor_start
	ip -n "$hv" link add stt0 type stt id "$ID"
	event ".event == \"dev_new\" and .config.id_hex == \"$ID\""
	ip -n "$hv" link change stt0 type stt ttl 7
	event '.event == "dev_change" and .config.ttl == 7'
	bridge -n "$hv" fdb add 02:00:00:00:00:01 dev stt0 dst 10.0.0.2 self
	event '.event == "fdb_new" and .dst == "10.0.0.2" and .old_dst == null'
	bridge -n "$hv" fdb replace 02:00:00:00:00:01 dev stt0 dst fd00::3 self
	event '.event == "fdb_move" and .dst == "fd00::3" and
	       .old_dst == "10.0.0.2"'
	bridge -n "$hv" fdb replace 02:00:00:00:00:01 dev stt0 dst fd00::3 self
	bridge -n "$hv" fdb del 02:00:00:00:00:01 dev stt0 self
	event '.event == "fdb_del" and .dst == "fd00::3"'
	ctl "$hv" fdb append default dev stt0 dst 10.0.0.2
	ctl "$hv" fdb append default dev stt0 dst 10.0.0.3
	ctl "$hv" fdb flush dev stt0 dst 10.0.0.3
	event '.event == "fdb_flush" and .dst == "10.0.0.3"'
	ip -n "$hv" link del stt0
	event '.event == "dev_del" and .ifname == "stt0"'
	# Nothing else was told: the second replace changed nothing.
	words="listening dev_new dev_change fdb_new fdb_move fdb_del fdb_new "
	words+="fdb_new fdb_flush dev_del "
	same "$words" "$(jq -r .event "$events" | tr '\n' ' ')"
	rm "$events"
}

monitor_tells_of_learning_and_moving()
{
	topology 1500
	# shellcheck disable=SC2154
	for hv in "$hv2" "$hv1"; do
		ip -n "$hv" link add stt0 type stt id 1
		ip -n "$hv" link set stt0 master br0 up
	done
	# As soon as there is a way, hosts tell of their groups.
	hv=$hv1 monitor_start
	ctl "$hv1" fdb append default dev stt0 dst 10.0.0.2
	ctl "$hv2" fdb append default dev stt0 dst 10.0.0.1
	in_ns "$vm1" ping -q -c 1 -w 10 192.0.2.2
	mac=$(link_address "$vm2" eth0)
	event ".event == \"fdb_new\" and .mac == \"$mac\" and
	       .state == \"dynamic\""
	# The same host with another address.
	ip -n "$hv2" addr add 10.0.0.3/24 dev under0
	ip -n "$hv2" link change stt0 type stt local 10.0.0.3
	in_ns "$vm2" ping -q -c 1 -w 10 192.0.2.1 || true
	event ".event == \"fdb_move\" and .mac == \"$mac\" and
	       .dst == \"10.0.0.3\" and .old_dst == \"10.0.0.2\""
	rm "$events"
}

monitor_prints_text()
{
	local text

	ns_create hv
	text=$(mktemp)
	"$sttctl" -n "$hv" monitor >"$text" &
	busywait 10 grep -q listening "$text" >/dev/null
	ip -n "$hv" link add stt0 type stt id 5
	ctl "$hv" fdb add 02:00:00:00:00:01 dev stt0 dst 10.0.0.2
	words="fdb_new 02:00:00:00:00:01 dev stt0 src_id 5 dst 10.0.0.2 id 5"
	busywait 10 grep -qx "$words port 7471 permanent" "$text"
	grep -q '^dev_new stt0: down' "$text"
	rm "$text"
}

# ---- Rates and counters

top_shows_rates()
{
	topology 1500
	topology_tunnel 4
	in_ns "$vm1" ping -q -i 0.05 -c 200 192.0.2.2 >/dev/null &
	busywait 10 top_runs
	same 3 "$(ctl "$hv1" top count 3 | grep -c '^stt0 ')"
	ctl "$hv1" top count 1 | head -n 1 | grep -q '^DEVICE .*drops/s$'
	# Drawn over the last picture, and left by a key.
	require script
	(sleep 3; printf q) | script -qec \
		"'$sttctl' -n $hv1 top interval 1" /dev/null >"$events"
	same true "$([ "$(grep -c DEVICE "$events")" -ge 2 ] && echo true)"
	grep -q $'\e\\[H' "$events"
	rm "$events"
}

# 20 pings a second each way, and the first look has no rate.
top_runs()
{
	events=$(mktemp)
	"$sttctl" -j -n "$hv1" top interval 1 count 2 >"$events"
	cat "$events"
	[ "$(wc -l <"$events")" = 2 ] &&
		jq -es '.[0][0].tx_pps == 0 and .[1][0].tx_pps >= 5 and
			.[1][0].tx_pps <= 40 and
			.[1][0].tx_bps >= .[1][0].tx_pps * 8 * 42 and
			.[1][0].drops_ps == 0' "$events"
}

stats_are_those_of_proc()
{
	topology 1500
	topology_tunnel 4
	in_ns "$vm1" ping -q -c 2 -i 0.2 -w 10 -s 4000 192.0.2.2
	# Nothing may come between the two readings.
	ip -n "$hv1" link set under0 down
	in_ns "$hv1" grep -v ^reasm /proc/net/stt >"$events"
	ctl "$hv1" stats | grep -v ^reasm | diff "$events" -
	same "$(grep -c . "$events")" \
		"$(json "$hv1" '.counters | length' stats)"
	same true "$(json "$hv1" '.counters.rx_segments > 0' stats)"
	same 0 "$(json "$hv1" '.reasm.mem' stats)"
	rm "$events"
}

reasm_limits_change()
{
	ns_create hv
	same 1000 "$(json "$hv" .timeout_ms reasm)"
	default=$(json "$hv" .budget_default reasm show)
	same "$default" "$(json "$hv" .budget reasm)"
	ctl "$hv" reasm set budget 2M timeout 250
	same "2097152 250" "$(json "$hv" '"\(.budget) \(.timeout_ms)"' reasm)"
	in_ns "$hv" grep -qx 'reasm_budget 2097152' /proc/net/stt
	ctl "$hv" reasm set budget 1073741824
	same 1073741824 "$(json "$hv" .budget reasm)"
	ctl "$hv" reasm set budget default
	same "$default" "$(json "$hv" .budget reasm)"
	# Other namespaces have their own.
	ns_create other
	# shellcheck disable=SC2154
	same 1000 "$(json "$other" .timeout_ms reasm)"
}

# Memory of the machine is not for users to give away.
reasm_budget_of_a_user_is_limited()
{
	require unshare
	unshare -Urn true || skip "no user namespaces"
	default=$("$sttctl" -j reasm | jq .budget_default)
	refused "Only the administrator" unshare -Urn "$sttctl" \
		reasm set budget $((default + 1))
	unshare -Urn "$sttctl" reasm set budget "$default" timeout 5
	refused "not permitted" setpriv --reuid 65534 --clear-groups \
		"$sttctl" reasm set timeout 5
}

# ---- Wrong command lines

each_mistake_gets_a_sentence()
{
	fdb_ns
	refused '"frobnicate" is not a command' ctl "$hv" frobnicate
	refused '"stt9": no such device' ctl "$hv" show stt9
	refused 'lo: Device is not of kind stt' ctl "$hv" show lo
	refused '"more" is not expected' ctl "$hv" show stt0 more
	refused '"no-such-ns" is wrong: -n takes' "$sttctl" -n no-such-ns show
	refused 'stt9: No such device' ctl "$hv" fdb show dev stt9
	refused '"02:00" is wrong' ctl "$hv" fdb add 02:00 dev stt0 dst 10.0.0.1
	refused '"02:00:00:00:00:0g" is wrong' \
		ctl "$hv" fdb add 02:00:00:00:00:0g dev stt0 dst 10.0.0.1
	refused '"fdb add" lacks a value' ctl "$hv" fdb add
	refused '"fdb del" lacks a value' ctl "$hv" fdb del
	refused '"dev" is given twice' ctl "$hv" fdb show dev stt0 dev stt1
	refused '"static" excludes another' \
		ctl "$hv" fdb add 02:00:00:00:00:01 dev stt0 dst 10.0.0.1 \
		permanent static
	refused '"nosuchdevice-nosuchdevice" is wrong: dev' \
		ctl "$hv" fdb show dev nosuchdevice-nosuchdevice
	refused '"vni" is not expected' \
		ctl "$hv" fdb add 02:00:00:00:00:01 dev stt0 dst 10.0.0.1 vni 5
	refused '"timeout" is given twice' \
		ctl "$hv" reasm set timeout 5 timeout 6
	refused '"8G" is wrong: budget' ctl "$hv" reasm set budget 8G
	refused '"more" is not expected' ctl "$hv" help more
	refused 'a command is required' ctl "$hv"
	refused '"-x" is not an option' ctl "$hv" -x show
	refused '"--json" is not an option' "$sttctl" --json show
	refused '"-n" lacks a value' "$sttctl" -n
	refused '"10.0.0.300" is wrong: check takes' ctl "$hv" check 10.0.0.300
	refused '"" is wrong: check takes' ctl "$hv" check ""
	refused '"": no such device' ctl "$hv" show ""
	refused 'unicast or multicast' ctl "$hv" \
		fdb add 02:00:00:00:00:01 dev stt0 dst 255.255.255.255
	refused '"dst" lacks a value' ctl "$hv" fdb show dst
	refused '"10.0.0" is wrong: dst takes' ctl "$hv" fdb show dst 10.0.0
	refused '"dev" is required' ctl "$hv" fdb flush
	refused '"dev" is required' \
		ctl "$hv" fdb add 02:00:00:00:00:01 dst 10.0.0.1
	refused '"dst" is required' \
		ctl "$hv" fdb add 02:00:00:00:00:01 dev stt0
	refused 'src_id takes a number from 0 to 18446744073709551615' \
		ctl "$hv" fdb show src_id 18446744073709551616
	refused '"-1" is wrong: src_id' ctl "$hv" fdb show src_id -1
	refused '"010" is wrong' ctl "$hv" fdb show src_id 010
	refused 'port takes a number from 1 to 65535' \
		ctl "$hv" fdb add 02:00:00:00:00:01 dev stt0 dst 10.0.0.1 port 0
	refused '"nodev" is wrong: via' ctl "$hv" \
		fdb add 02:00:00:00:00:01 dev stt0 dst 10.0.0.1 via nodev
	refused 'requires an external device' ctl "$hv" \
		fdb add 02:00:00:00:00:01 dev stt0 dst 10.0.0.1 src_id 5
	refused '"learned" and "static" exclude' \
		ctl "$hv" fdb flush dev stt0 learned static
	refused 'fdb del takes neither' \
		ctl "$hv" fdb del 02:00:00:00:00:01 dev stt0 static
	refused 'budget takes default or' ctl "$hv" reasm set budget 1000
	refused 'budget takes default or' ctl "$hv" reasm set budget 1025M
	refused 'timeout takes a number from 1 to 60000' \
		ctl "$hv" reasm set timeout 60001
	refused 'reasm set takes' ctl "$hv" reasm set
	refused 'interval takes a number' ctl "$hv" top interval 0
	refused '"stt9" is wrong: check takes' ctl "$hv" check stt9
	"$sttctl" help | grep -q '^Usage: sttctl'
}

# ---- check

# tunnel [ARGUMENT...]: stt0 over IPv4 in both hypervisors, and nothing wrong.
tunnel()
{
	topology 1500
	topology_tunnel 4 "$@"
	local hv

	for hv in "$hv1" "$hv2"; do
		in_ns "$hv" ethtool -K under0 gro on
	done
	fine
}

pings()
{
	in_ns "$vm1" ping -q -c 1 -W 1 192.0.2.2
}

# passes: traffic goes through the tunnel; after a fault it takes until the VM
# asks again who has the address.
passes()
{
	busywait 15 pings >/dev/null
}

blocked()
{
	! pings >/dev/null
}

# fine [ARGUMENT...]: check in hv1 finds nothing.
fine()
{
	local out

	if ! out=$(ctl "$hv1" check "$@") || [ -n "$out" ]; then
		echo "check found: $out"
		return 1
	fi
	same "[]" "$("$sttctl" -j -n "$hv1" check "$@")"
}

# finds "KIND..." [ARGUMENT...]: check in hv1 finds these and no other; the
# remedy of the first goes to $fix.  Text and JSON say the same.
finds()
{
	local kinds=$1 out rc=0 json

	shift
	json=$("$sttctl" -j -n "$hv1" check "$@") || rc=$?
	same 1 "$rc"
	same "$kinds" "$(jq -r 'map(.check) | unique | join(" ")' <<<"$json")"
	# shellcheck disable=SC2034
	fix=$(jq -r '.[0].fix' <<<"$json")
	out=$(ctl "$hv1" check "$@") && return 1
	same "$(jq length <<<"$json")" "$(grep -c '; try: ' <<<"$out")"
	grep -qF "; try: $fix" <<<"$out"
}

# finds_among KIND: the same where others may be found, too, as what a
# hypervisor sends by itself comes into it.
finds_among()
{
	"$sttctl" -j -n "$hv1" check |
		jq -e --arg kind "$1" 'any(.check == $kind)' >/dev/null
}

# remedy KIND [NAME=VALUE]...: runs what check gives against KIND, with the
# names in capitals replaced.
remedy()
{
	local kind=$1 command

	shift
	command=$("$sttctl" -j -n "$hv1" check |
		jq -r "map(select(.check == \"$kind\"))[0].fix") || true
	for word; do
		command=${command//${word%%=*}/${word#*=}}
	done
	echo "remedy: $command"
	in_ns "$hv1" bash -ec "$command" >/dev/null
}

check_finds_nothing_wrong()
{
	tunnel
	passes
	fine stt0
	fine 10.0.0.2
	ip -n "$hv1" link del stt0
	fine
}

check_ipv6_underlay()
{
	topology 1500
	topology_tunnel 6
	in_ns "$hv1" ethtool -K under0 gro on
	fine
	passes
	in_ns "$hv1" nft -f - <<-END
		table ip6 f {
			chain i {
				type filter hook input priority 0
				ip6 saddr fd00::/64 tcp dport 7000-8000 drop
			}
		}
	END
	finds firewall
	blocked
	remedy firewall
	passes
	fine
}

check_device_down()
{
	tunnel
	ip -n "$hv1" link set stt0 down
	finds down stt0
	blocked
	remedy down
	passes
	fine
}

check_nobody_to_send_to()
{
	topology 1500
	for hv in "$hv1" "$hv2"; do
		ip -n "$hv" link add stt0 type stt id 1
		ip -n "$hv" link set stt0 master br0 up
		in_ns "$hv" ethtool -K under0 gro on
	done
	ctl "$hv2" fdb append default dev stt0 dst 10.0.0.1
	finds nobody
	remedy nobody REMOTE=10.0.0.2
	passes
	fine
}

check_no_device_leads_there()
{
	tunnel
	ip -n "$hv1" link del stt0
	finds none 10.0.0.2
	in_ns "$hv1" bash -ec "${fix/ID/0x1122334455667788}"
	ip -n "$hv1" link set stt0 master br0 up
	fine 10.0.0.2
	passes
}

check_underlay_device_down()
{
	tunnel dev under0
	ip -n "$hv1" link set under0 down
	finds underlay_down
	blocked
	remedy underlay_down
	passes
	fine
}

# No command of this host brings a carrier.
check_no_carrier()
{
	tunnel dev under0
	ip -n "$hv2" link set under0 down
	finds underlay_carrier
	ip -n "$hv2" link set under0 up
	passes
	fine
}

check_no_route()
{
	tunnel
	ip -n "$hv1" link change stt0 type stt remote 10.9.9.9
	ip -n "$hv2" addr add 10.9.9.9/32 dev under0
	ip -n "$hv2" link change stt0 type stt local 10.9.9.9
	finds route
	blocked
	remedy route GATEWAY=10.0.0.2
	passes
	fine
}

check_route_into_the_tunnel()
{
	tunnel
	ip -n "$hv1" route add 10.0.0.2/32 dev stt0
	finds loop
	blocked
	remedy loop "via GATEWAY=dev under0"
	passes
	fine
}

check_foreign_local_address()
{
	tunnel
	# What it sends by itself would come in for another address than ours.
	ip -n "$hv2" link set stt0 down
	ip -n "$hv1" link change stt0 type stt local 10.0.0.77
	finds local
	remedy local
	ip -n "$hv2" link set stt0 up
	fine
	passes
}

# under1 is a second way between the hypervisors, and the one with the route.
second_way()
{
	local n

	ip link add under1 netns "$hv1" type veth peer name under1 netns "$hv2"
	for n in 1 2; do
		local hv=hv$n

		ip -n "${!hv}" addr add 10.0.1.$n/24 dev under1
		ip -n "${!hv}" link set under1 up
		in_ns "${!hv}" ethtool -K under1 gro on
		in_ns "${!hv}" sysctl -qw net.ipv4.conf.all.rp_filter=0 \
			net.ipv4.conf.under0.rp_filter=0 \
			net.ipv4.conf.under1.rp_filter=0
	done
	ip -n "$hv1" route add 10.0.0.2/32 via 10.0.1.2
}

check_wrong_underlay_device()
{
	tunnel dev under0
	second_way
	finds device
	remedy device
	fine
	passes
}

check_reverse_path_filter()
{
	tunnel
	second_way
	passes
	fine
	in_ns "$hv1" sysctl -qw net.ipv4.conf.under0.rp_filter=1
	# What answers a ping is dropped like any other packet.
	finds "ping rp_filter"
	blocked
	remedy rp_filter
	passes
	fine
}

check_small_mtu()
{
	tunnel
	ip -n "$hv1" link set under0 mtu 1300
	finds mtu
	remedy mtu
	same 1500 "$(ip -n "$hv1" -j link show under0 | jq '.[0].mtu')"
	fine
}

check_small_mtu_of_a_route()
{
	tunnel
	ip -n "$hv1" route add 10.0.0.2/32 dev under0 mtu 1000
	finds mtu
	remedy mtu
	fine
	passes
}

# hv1 --- router --- hv2, with a small MTU behind the router for a while.
check_learned_mtu()
{
	local n

	ns_create hv1 router hv2
	for n in 1 2; do
		local hv=hv$n

		# shellcheck disable=SC2154
		ip link add under0 netns "${!hv}" type veth \
			peer name to$n netns "$router"
		ip -n "${!hv}" addr add 10.0.$n.1/24 dev under0
		ip -n "${!hv}" link set under0 up
		ip -n "$router" addr add 10.0.$n.2/24 dev to$n
		ip -n "$router" link set to$n up
		ip -n "${!hv}" route add default via 10.0.$n.2
		in_ns "${!hv}" ethtool -K under0 gro on
	done
	in_ns "$router" sysctl -qw net.ipv4.ip_forward=1
	ip -n "$hv1" link add stt0 type stt id 1 remote 10.0.2.1
	ip -n "$hv1" link set stt0 up
	fine
	ip -n "$router" link set to2 mtu 1200
	in_ns "$hv1" ping -q -c 1 -w 3 -M "do" -s 1400 10.0.2.1 || true
	finds pmtu
	ip -n "$router" link set to2 mtu 1500
	remedy pmtu
	fine
}

check_offloads_of_the_nic()
{
	tunnel
	in_ns "$hv1" ethtool -K under0 tx off sg off gso off gro off
	finds offload
	remedy offload
	in_ns "$hv1" ethtool -k under0 | grep -q '^tcp-segmentation-offload: on'
	in_ns "$hv1" ethtool -k under0 | grep -q '^generic-receive-offload: on'
	fine
}

check_offloads_of_the_tunnel()
{
	tunnel
	in_ns "$hv1" ethtool -K stt0 tso off
	finds offload
	remedy offload
	fine
}

check_lro()
{
	local dev

	for dev in /sys/class/net/*; do
		dev=${dev##*/}
		if ethtool -k "$dev" 2>/dev/null |
		   grep -q '^large-receive-offload: .*[^]]$'; then
			break
		fi
		dev=
	done
	[ -n "$dev" ] || skip "no device here has LRO"
}

# ruleset: from standard input, in hv1, in place of the last.
ruleset()
{
	in_ns "$hv1" nft flush ruleset
	in_ns "$hv1" nft -f -
}

check_firewall_rules()
{
	tunnel
	ruleset <<-END
		table inet fw {
			set bad {
				type ipv4_addr
				elements = { 10.0.0.2, 10.0.0.9 }
			}
			chain inner { ip saddr @bad counter drop; }
			chain in {
				type filter hook input priority 0; policy accept
				iifname "und*" tcp dport { 80, 7471 } \
					jump inner
			}
		}
	END
	finds firewall
	words="nft insert rule inet fw in ip saddr 10.0.0.2"
	same "$words tcp dport 7471 accept" "$fix"
	blocked
	remedy firewall
	passes
	fine
}

check_firewall_policy()
{
	tunnel
	ruleset <<-END
		table inet fw {
			chain in {
				type filter hook input priority 0; policy drop
				ct state vmap { established : accept, \
					related : accept, invalid : drop }
				meta l4proto { icmp, ipv6-icmp } accept
				tcp dport 22 accept
			}
		}
	END
	finds firewall
	blocked
	remedy firewall
	passes
	fine
}

check_firewall_on_the_way_out()
{
	tunnel
	ruleset <<-END
		table ip fw {
			chain out {
				type filter hook output priority 0
				oifname under0 ip daddr 10.0.0.0/30 \
					tcp dport >= 7000 drop
			}
		}
	END
	finds firewall
	blocked
	remedy firewall
	passes
	fine
}

check_firewall_of_connections()
{
	tunnel
	# Before connection tracking all is invalid, behind it ours is not.
	ruleset <<-END
		table inet fw {
			chain raw {
				type filter hook prerouting priority -300
				tcp dport 7471 ct state invalid drop
			}
		}
	END
	finds firewall
	blocked
	remedy firewall
	passes
	fine
}

check_rules_that_do_no_harm()
{
	tunnel
	ruleset <<-END
		table inet fw {
			chain in {
				type filter hook input priority 0; policy accept
				ct state invalid drop
				udp dport 7471 drop
				ip6 saddr ::/0 tcp dport 7471 drop
				ip saddr 10.0.0.99 drop
				ip saddr != 10.0.0.0/24 drop
				tcp dport != 7471 ip saddr 10.0.0.2 drop
				meta mark 5 drop
				iifname vm0 drop
				tcp flags syn / syn,ack drop
			}
			chain out {
				type filter hook output priority 0; policy drop
				ct state untracked accept
				meta l4proto icmp accept
			}
			chain through {
				type filter hook forward priority 0; policy drop
			}
		}
	END
	passes
	fine
}

check_silent_neighbour()
{
	tunnel
	in_ns "$hv2" sysctl -qw net.ipv4.conf.under0.arp_ignore=8
	# Its own questions would tell of it.
	ip -n "$hv2" neigh replace 10.0.0.1 dev under0 \
		lladdr "$(link_address "$hv1" under0)"
	ip -n "$hv1" neigh flush dev under0
	finds neighbour
	blocked
	remedy neighbour "MAC=$(link_address "$hv2" under0)"
	passes
	fine
}

check_ping_without_answer()
{
	tunnel
	in_ns "$hv2" sysctl -qw net.ipv4.icmp_echo_ignore_all=1
	finds ping
	in_ns "$hv2" sysctl -qw net.ipv4.icmp_echo_ignore_all=0
	fine
}

check_port_taken()
{
	ns_create hv1
	in_ns "$hv1" iperf3 -s -D -p 7471
	busywait 10 listening "$hv1" 7471
	finds port
	same "2" "$(ip -n "$hv1" link add stt0 type stt id 1 remote 10.0.0.2 \
		2>/dev/null || echo $?)"
	remedy port
	busywait 10 fine
	ip -n "$hv1" link add stt0 type stt id 1 remote 10.0.0.2
}

check_ends_disagree()
{
	tunnel
	ip -n "$hv2" link del stt0
	ip -n "$hv2" link add stt0 type stt id 0x99 local 10.0.0.2 \
		remote 10.0.0.1
	ip -n "$hv2" link set stt0 master br0 up
	in_ns "$vm2" ping -q -i 0.1 -b 192.0.2.255 >/dev/null 2>&1 &
	finds "id unknown_id"
	grep -q 'type stt id 0x99 remote 10.0.0.2' <<<"$fix"
	remedy id
	ip -n "$hv1" link set stt0 master br0 up
	passes
	fine
}

# spoil KIND: hv2 sends segments that are no good, until killed.
spoil()
{
	ip netns exec "$hv2" /usr/bin/python3 - "$1" <<-'END' &
		import itertools, socket, struct, sys, time
		kind = sys.argv[1]
		sock = socket.socket(socket.AF_INET, socket.SOCK_RAW,
		                     socket.IPPROTO_TCP)
		src = socket.inet_aton("10.0.0.2")
		dst = socket.inet_aton("10.0.0.1")
		def csum(data):
		    data += bytes(len(data) % 2)
		    s = sum(struct.unpack(f"!{len(data) // 2}H", data))
		    while s >> 16:
		        s = (s & 0xffff) + (s >> 16)
		    return ~s & 0xffff
		for i in itertools.count():
		    # The first 1400 of 60000 bytes, of a new frame each time.
		    head = struct.pack("!HHIIBBHHH", 50000, 7471, 60000 << 16,
		                       i, 0x50, 0x10, 0, 0, 0)
		    data = bytes(8) + bytes.fromhex("1122334455667788")
		    data += bytes(1400 - len(data))
		    pseudo = src + dst + struct.pack("!BBH", 0, 6, 1420)
		    s = csum(pseudo + head + data)
		    if kind == "checksum":
		        s ^= 0x5555
		    head = head[:16] + struct.pack("!H", s) + head[18:]
		    sock.sendto(head + data, ("10.0.0.1", 0))
		    time.sleep(0.0002)
	END
	spoiler=$!
}

check_wrong_checksums()
{
	tunnel
	spoil checksum
	busywait 20 counter_grows rx_bad_csum
	finds checksum
	kill $spoiler
	wait $spoiler || true
	fine
}

# Segments that somebody on the way refuses.
check_errors_of_others()
{
	tunnel
	passes
	in_ns "$hv2" nft -f - <<-END
		table inet fw {
			chain in {
				type filter hook input priority 0
				tcp dport 7471 reject with \
					icmpx admin-prohibited
			}
		}
	END
	in_ns "$vm1" ping -q -i 0.05 192.0.2.2 >/dev/null 2>&1 &
	busywait 20 counter_grows tx_unreachable >/dev/null
	finds unreachable
	kill $!
	wait $! || true
	in_ns "$hv2" nft flush ruleset
	passes
	fine
}

counter_grows()
{
	[ "$(json "$hv1" ".counters.$1" stats)" -gt 0 ]
}

check_no_memory_for_reassembly()
{
	tunnel
	ctl "$hv1" reasm set budget 1M timeout 60000
	spoil reassembly
	busywait 20 memory_runs_out
	finds reassembly
	same "sttctl reasm set budget 2097152" "$fix"
	kill $spoiler
	wait $spoiler || true
	ctl "$hv1" reasm set timeout 1
	remedy_text=$fix
	in_ns "$hv1" bash -ec "$remedy_text"
	fine
	same 2097152 "$(json "$hv1" .budget reasm)"
}

memory_runs_out()
{
	json "$hv1" '.counters.rx_no_budget + .reasm.evictions > 0' stats
}

# vrf_tunnel: under0 in the VRF red of both hypervisors, and the tunnel.
vrf_tunnel()
{
	local n far

	topology 1500
	for n in 1 2; do
		local hv=hv$n

		far=$((3 - n))
		ip -n "${!hv}" -batch - <<-END
			link add red type vrf table 10
			link set red up
			link set under0 master red up
			link add stt0 type stt id 1 local 10.0.0.$n \
				remote 10.0.0.$far dev red
			link set stt0 master br0 up
		END
		in_ns "${!hv}" ethtool -K under0 gro on
	done
	fine
	passes
}

check_underlay_in_a_vrf()
{
	vrf_tunnel
	# What has come in is the VRF's, for rules of hook "input".
	ruleset <<-END
		table inet fw {
			chain in {
				type filter hook input priority 0
				iifname under0 tcp dport 7471 drop
			}
		}
	END
	passes
	fine
	ruleset <<-END
		table inet fw {
			chain in {
				type filter hook input priority 0
				iifname red tcp dport 7471 drop
			}
		}
	END
	finds firewall
	blocked
	remedy firewall
	passes
	ruleset <<-END
		table inet fw {
			chain pre {
				type filter hook prerouting priority 0
				iifname under0 tcp dport 7471 drop
			}
		}
	END
	finds firewall
	blocked
	remedy firewall
	passes
	ruleset <<-END
		table inet fw {
			chain out {
				type filter hook output priority 0
				oifname red tcp dport 7471 drop
			}
		}
	END
	finds firewall
	blocked
	remedy firewall
	passes
	fine
	# The main table knows a way that the VRF does not.
	ip -n "$hv1" route add unreachable default table 10 metric 4278198272
	ip -n "$hv1" link change stt0 type stt remote 10.9.9.9
	ip -n "$hv1" link add other type dummy
	ip -n "$hv1" link set other up
	ip -n "$hv1" route add 10.9.9.9/32 dev other
	finds route
}

check_link_local_underlay()
{
	local n far

	topology 1500
	for n in 1 2; do
		local hv=hv$n

		far=$((3 - n))
		ip -n "${!hv}" -batch - <<-END
			addr add fe80::$n/64 dev under0 nodad
			link add stt0 type stt id 1 local fe80::$n \
				remote fe80::$far dev under0
			link set stt0 master br0 up
		END
		in_ns "${!hv}" ethtool -K under0 gro on
	done
	fine
	passes
	ruleset <<-END
		table ip6 fw {
			chain in {
				type filter hook input priority 0
				ip6 saddr fe80::2 tcp dport 7471 drop
			}
		}
	END
	finds firewall
	blocked
	remedy firewall
	passes
	fine
	ip -n "$hv1" link set under0 mtu 1300
	finds mtu
	remedy mtu
	fine
	ip -n "$hv1" link change stt0 type stt remote fe80::3
	ip -n "$hv1" -6 neigh flush dev under0
	finds_among neighbour
}

check_iptables_rules()
{
	local v family

	for v in iptables ip6tables; do
		$v-nft -V >/dev/null 2>&1 || skip "no $v-nft"
	done
	for family in 4 6; do
		v=iptables
		[ $family = 4 ] || v=ip6tables
		topology 1500
		topology_tunnel $family
		in_ns "$hv1" ethtool -K under0 gro on
		fine
		passes
		in_ns "$hv1" $v-nft -A INPUT -p tcp --dport 7471 -j DROP
		finds firewall
		[[ $fix = "$v "*" INPUT "* ]]
		blocked
		remedy firewall "$v=$v-nft"
		passes
		fine
		in_ns "$hv1" $v-nft -F
		in_ns "$hv1" $v-nft -A OUTPUT -o under0 -p tcp \
			-m multiport --dports 7000,7471 -j REJECT
		finds_among firewall
		blocked
		remedy firewall "$v=$v-nft"
		passes
		in_ns "$hv1" $v-nft -F
		# No connection is one of ours, whatever its state.
		in_ns "$hv1" $v-nft -A INPUT -m conntrack \
			--ctstate RELATED,ESTABLISHED -j ACCEPT
		in_ns "$hv1" $v-nft -A INPUT -m conntrack --ctstate INVALID \
			-j DROP
		in_ns "$hv1" $v-nft -A INPUT -p tcp -m multiport \
			--dports 22,7472:7500 -j DROP
		passes
		fine
		in_ns "$hv1" $v-nft -A INPUT -p tcp -j REJECT
		finds firewall
		blocked
		remedy firewall "$v=$v-nft"
		passes
		in_ns "$hv1" $v-nft -F
		in_ns "$hv1" $v-nft -P INPUT DROP
		in_ns "$hv1" $v-nft -A INPUT -m state --state ESTABLISHED \
			-j ACCEPT
		in_ns "$hv1" $v-nft -A INPUT -p tcp --dport 22 -j ACCEPT
		in_ns "$hv1" $v-nft -A INPUT -p icmp -j ACCEPT
		in_ns "$hv1" $v-nft -A INPUT -p ipv6-icmp -j ACCEPT
		finds firewall
		blocked
		remedy firewall "$v=$v-nft"
		passes
		fine
		in_ns "$hv1" $v-nft -D INPUT 1
		in_ns "$hv1" $v-nft -A INPUT -m conntrack \
			--ctstate NEW,UNTRACKED -j ACCEPT
		passes
		fine
		ns_cleanup
	done
}

# Nobody can look where there is no name to enter by.
check_underlay_without_a_name()
{
	tunnel
	ip -n "$hv1" link set stt0 nomaster
	ip -n "$hv1" link set stt0 netns "$vm1"
	ip -n "$vm1" link set stt0 up
	# A process keeps it.
	ip netns exec "$hv1" sleep 1000 &
	busywait 10 other_net $! >/dev/null
	ip netns del "$hv1"
	same "namespace stt0" "$("$sttctl" -j -n "$vm1" check |
		jq -r '.[] | "\(.check) \(.ifname)"')"
	fix=$("$sttctl" -j -n "$vm1" check | jq -r '.[0].fix')
	same "ip netns attach NAME PID" "$fix"
	fix=${fix/NAME/$hv1}
	bash -c "${fix/PID/$!}"
	same "[]" "$("$sttctl" -j -n "$vm1" check)"
	ip netns pids "$hv1" | grep -qx $!
	kill $!
	wait $! || true
}

other_net()
{
	[ "$(readlink "/proc/$1/ns/net")" != "$(readlink /proc/self/ns/net)" ]
}

# ---- Completion

# completed LINE: what bash would offer for the last word of it, sorted.
completed()
{
	bash -c '
		PATH=$1:$PATH
		. ./../tools/bash-completion/sttctl
		read -ra COMP_WORDS <<<"$2"
		[[ $2 != *" " ]] || COMP_WORDS+=("")
		COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
		_sttctl
		printf "%s\n" "${COMPREPLY[@]}" | sort | xargs
	' completed "$(dirname "$sttctl")" "$1"
}

words_are_completed()
{
	[ -e ../tools/bash-completion/sttctl ] || skip "not in the source tree"
	fdb_ns
	ctl "$hv" fdb add 02:00:00:00:00:01 dev stt0 dst 10.0.0.2
	same "check fdb help monitor reasm show stats top" \
		"$(completed "sttctl ")"
	same "show stats" "$(completed "sttctl s")"
	same "-j -n" "$(completed "sttctl -")"
	same "$hv" "$(completed "sttctl -n ${hv%?}")"
	same "stt0 stt1" "$(completed "sttctl -n $hv show ")"
	same "stt0 stt1" "$(completed "sttctl -j -n $hv fdb show dev ")"
	same "10.0.0.2 stt0 stt1" "$(completed "sttctl -n $hv check ")"
	same "10.0.0.2" "$(completed "sttctl -n $hv fdb show dst ")"
	same "lo" "$(completed "sttctl -n $hv fdb add default via l")"
	same "add append" "$(completed "sttctl fdb a")"
	same "default" "$(completed "sttctl fdb append ")"
	same "dst" "$(completed "sttctl fdb add default dev stt0 ds")"
	# Nothing that has been said already.
	same "" "$(completed "sttctl fdb add default dst 10.0.0.1 dst")"
	same "budget timeout" "$(completed "sttctl reasm set ")"
	same "timeout" "$(completed "sttctl reasm set budget 1M ")"
	same "count" "$(completed "sttctl top c")"
	# Every word of the usage that begins a command is offered.
	"$sttctl" help | sed -n '/^COMMAND/,/^$/p' | sed 's/^COMMAND := //' |
		awk '/^[[:blank:]]*[a-z]/ { print $1 }' | sort -u | xargs |
		diff - <(completed "sttctl ")
}

# The device is with the VM, its underlay is not.
check_underlay_elsewhere()
{
	tunnel
	ip -n "$hv1" link set under0 mtu 1300
	ip -n "$hv1" link set stt0 nomaster
	ip -n "$hv1" link set stt0 netns "$vm1"
	ip -n "$vm1" link set stt0 up
	rc=0
	out=$("$sttctl" -j -n "$vm1" check) || rc=$?
	same 1 "$rc"
	same "mtu stt0" "$(jq -r '.[] | "\(.check) \(.ifname)"' <<<"$out")"
}

events=$(mktemp)
trap 'rm -f "$events"' EXIT
[ $# -gt 0 ] || set -- \
	show_tells_the_configuration \
	show_counts \
	show_finds_the_namespace_of_the_underlay \
	fdb_holds_64_bits \
	fdb_adds_as_bridge_does \
	fdb_flushes_by_what_one_knows \
	fdb_shows_many \
	monitor_tells_each_change_once \
	monitor_tells_of_learning_and_moving \
	monitor_prints_text \
	top_shows_rates \
	stats_are_those_of_proc \
	reasm_limits_change \
	reasm_budget_of_a_user_is_limited \
	each_mistake_gets_a_sentence \
	check_finds_nothing_wrong \
	check_ipv6_underlay \
	check_device_down \
	check_nobody_to_send_to \
	check_no_device_leads_there \
	check_underlay_device_down \
	check_no_carrier \
	check_no_route \
	check_route_into_the_tunnel \
	check_foreign_local_address \
	check_wrong_underlay_device \
	check_reverse_path_filter \
	check_small_mtu \
	check_small_mtu_of_a_route \
	check_learned_mtu \
	check_offloads_of_the_nic \
	check_offloads_of_the_tunnel \
	check_lro \
	check_firewall_rules \
	check_firewall_policy \
	check_firewall_on_the_way_out \
	check_firewall_of_connections \
	check_rules_that_do_no_harm \
	check_silent_neighbour \
	check_ping_without_answer \
	check_port_taken \
	check_ends_disagree \
	check_errors_of_others \
	check_wrong_checksums \
	check_no_memory_for_reassembly \
	check_underlay_elsewhere \
	check_underlay_in_a_vrf \
	check_link_local_underlay \
	check_iptables_rules \
	check_underlay_without_a_name \
	words_are_completed
run_tests "$@"
