#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# long
# timeout: 900
# The forwarding database: bridge(8) on the entries of one device, who is told
# of changes, learning and ageing between hosts, and how it behaves when large.
# As root, with the module loaded.  STT_FULL=1 makes more noise for longer.
set -u
cd "$(dirname "$0")" || exit 1
# shellcheck source=selftests/lib.sh
. ./lib.sh

require jq bridge python3

frames=$PWD/frames.py

# quiet NS...: devices made from now on send nothing of their own.
quiet()
{
	local ns

	for ns; do
		in_ns "$ns" sysctl -qw net.ipv6.conf.default.disable_ipv6=1
	done
}

# one_host [OPTION...]: a namespace with the device x.
one_host()
{
	ns_create host
	# shellcheck disable=SC2154
	quiet "$host"
	ip -n "$host" -batch - <<-END
		link add under0 type dummy
		addr add 10.0.0.1/24 dev under0
		link set under0 up
		neigh add 10.0.0.2 lladdr 02:00:00:00:0a:02 dev under0
		link add x type stt id 5 $*
		link set x up
	END
}

# on LINE...: lines of bridge(8) in the namespace.
on()
{
	printf '%s\n' "$@" | bridge -n "$host" -batch -
}

# entries: of x, one line each, sorted.
entries()
{
	bridge -n "$host" fdb show dev x | sed 's/ *$//' | sort
}

# expect LINE...: the entries are exactly these.
expect()
{
	local have want

	have=$(entries)
	want=$(printf '%s\n' "$@" | sort)
	[ "$have" = "$want" ] || {
		diff <(echo "$want") <(echo "$have")
		return 1
	}
}

# refused WORDS LINE: by one sentence with these words in it.
refused()
{
	local output

	# shellcheck disable=SC2086
	if output=$(bridge -n "$host" $2 2>&1); then
		echo "accepted: $2"
		return 1
	fi
	if [ "$(wc -l <<<"$output")" != 1 ] || ! grep -qE "$1" <<<"$output"
	then
		echo "$2: want one sentence about /$1/, have:"
		echo "$output"
		return 1
	fi
}

entries_are_shown_as_set()
{
	one_host
	on "fdb add 02:00:00:00:00:01 dev x dst 10.0.0.2" \
		"fdb add 02:00:00:00:00:02 dev x dst 10.0.0.2 static" \
		"fdb add 02:00:00:00:00:03 dev x dst 10.0.0.2 dynamic" \
		"fdb add 02:00:00:00:00:04 dev x dst 10.0.0.2 extern_learn" \
		"fdb add 02:00:00:00:00:05 dev x dst 10.0.0.2 router" \
		"fdb add 02:00:00:00:00:06 dev x dst 10.0.0.3 port 9999" \
		"fdb add 02:00:00:00:00:07 dev x dst 10.0.0.3 via under0" \
		"fdb add 02:00:00:00:00:08 dev x dst 10.0.0.3 vni 77" \
		"fdb add 02:00:00:00:00:09 dev x dst fd00::3 self permanent" \
		"fdb add 02:00:00:00:00:0a dev x dst 10.0.0.3 use" \
		"fdb add 02:00:00:00:00:0b dev x dst 10.0.0.3 vlan 5" \
		"fdb append 00:00:00:00:00:00 dev x dst 10.0.0.2" \
		"fdb append 00:00:00:00:00:00 dev x dst fd00::2" \
		"fdb append 01:00:5e:00:00:01 dev x dst 10.0.0.2" \
		"fdb append 01:00:5e:00:00:01 dev x dst 10.0.0.3"
	expect "02:00:00:00:00:01 dst 10.0.0.2 self permanent" \
		"02:00:00:00:00:02 dst 10.0.0.2 self static" \
		"02:00:00:00:00:03 dst 10.0.0.2 self" \
		"02:00:00:00:00:04 dst 10.0.0.2 self extern_learn permanent" \
		"02:00:00:00:00:05 dst 10.0.0.2 self router permanent" \
		"02:00:00:00:00:06 dst 10.0.0.3 port 9999 self permanent" \
		"02:00:00:00:00:07 dst 10.0.0.3 via under0 self permanent" \
		"02:00:00:00:00:08 dst 10.0.0.3 vni 77 self permanent" \
		"02:00:00:00:00:09 dst fd00::3 self permanent" \
		"02:00:00:00:00:0a dst 10.0.0.3 self permanent" \
		"02:00:00:00:00:0b dst 10.0.0.3 self permanent" \
		"00:00:00:00:00:00 dst 10.0.0.2 self permanent" \
		"00:00:00:00:00:00 dst fd00::2 self permanent" \
		"01:00:5e:00:00:01 dst 10.0.0.2 self permanent" \
		"01:00:5e:00:00:01 dst 10.0.0.3 self permanent"
	[ "$(bridge -n "$host" fdb get 02:00:00:00:00:08 dev x self)" = \
	  "02:00:00:00:00:08 dev x dst 10.0.0.3 vni 77 self permanent" ]
}

entries_are_replaced_and_deleted()
{
	one_host
	on "fdb add 02:00:00:00:00:01 dev x dst 10.0.0.2 static" \
		"fdb replace 02:00:00:00:00:01 dev x dst 10.0.0.3" \
		"fdb replace 02:00:00:00:00:02 dev x dst 10.0.0.2 vni 9" \
		"fdb append 00:00:00:00:00:00 dev x dst 10.0.0.2" \
		"fdb append 00:00:00:00:00:00 dev x dst 10.0.0.3" \
		"fdb append 00:00:00:00:00:00 dev x dst 10.0.0.4" \
		"fdb append 00:00:00:00:00:00 dev x dst 10.0.0.4 port 9" \
		"fdb append 00:00:00:00:00:00 dev x dst 10.0.0.4" \
		"fdb del 00:00:00:00:00:00 dev x dst 10.0.0.3"
	expect "02:00:00:00:00:01 dst 10.0.0.3 self permanent" \
		"02:00:00:00:00:02 dst 10.0.0.2 vni 9 self permanent" \
		"00:00:00:00:00:00 dst 10.0.0.2 self permanent" \
		"00:00:00:00:00:00 dst 10.0.0.4 self permanent" \
		"00:00:00:00:00:00 dst 10.0.0.4 port 9 self permanent"
	on "fdb del 02:00:00:00:00:01 dev x dst 10.0.0.3" \
		"fdb del 02:00:00:00:00:02 dev x" \
		"fdb del 00:00:00:00:00:00 dev x"
	[ -z "$(entries)" ]
}

what_is_wrong_is_refused()
{
	local a=02:00:00:00:00:01 zero=00:00:00:00:00:00

	one_host local 10.0.0.1
	on "fdb add $a dev x dst 10.0.0.2" "fdb append $zero dev x dst 10.0.0.2"
	refused "exists" "fdb add $a dev x dst 10.0.0.3"
	refused "exists" "fdb add $zero dev x dst 10.0.0.3"
	refused "append" "fdb append $a dev x dst 10.0.0.3"
	refused "append" "fdb replace $zero dev x dst 10.0.0.3"
	refused "dst" "fdb add 02:00:00:00:00:09 dev x self"
	refused "dst" "fdb add 02:00:00:00:00:09 dev x dst 0.0.0.0"
	refused "family" "fdb add 02:00:00:00:00:09 dev x dst fd00::2"
	refused "VLAN" "fdb flush dev x vlan 5"
	refused "external" \
		"fdb add 02:00:00:00:00:09 dev x dst 10.0.0.2 src_vni 6"
	refused "No such" "fdb del 02:00:00:00:00:09 dev x"
	refused "No such" "fdb del $a dev x dst 10.0.0.3"
	refused "No such" "fdb del $zero dev x dst 10.0.0.3"
	refused "No FDB entry" "fdb get 02:00:00:00:00:09 dev x self"
	expect "$a dst 10.0.0.2 self permanent" \
		"$zero dst 10.0.0.2 self permanent"
}

an_external_device_has_a_table_for_each_context_id()
{
	local a=02:00:00:00:00:01

	one_host
	ip -n "$host" link del x
	ip -n "$host" link add x type stt external
	on "fdb add $a dev x dst 10.0.0.2 src_vni 7" \
		"fdb add $a dev x dst 10.0.0.3 src_vni 8" \
		"fdb append 00:00:00:00:00:00 dev x dst 10.0.0.2 src_vni 7"
	expect "$a dst 10.0.0.2 vni 7 src_vni 7 self permanent" \
		"$a dst 10.0.0.3 vni 8 src_vni 8 self permanent" \
		"00:00:00:00:00:00 dst 10.0.0.2 vni 7 src_vni 7 self permanent"
	on "fdb del $a dev x src_vni 7"
	expect "$a dst 10.0.0.3 vni 8 src_vni 8 self permanent" \
		"00:00:00:00:00:00 dst 10.0.0.2 vni 7 src_vni 7 self permanent"
	# The upper half of a Context ID is the device's, not the entry's.
	ip -n "$host" link del x
	ip -n "$host" link add x type stt external keybase 9
	on "fdb add $a dev x dst 10.0.0.2" \
		"fdb add $a dev x dst 10.0.0.3 src_vni 8"
	expect "$a dst 10.0.0.2 self permanent" \
		"$a dst 10.0.0.3 vni 8 src_vni 8 self permanent"
	bridge -n "$host" fdb get $a dev x self | grep -q "dst 10.0.0.2 "
}

the_remote_of_the_device_is_a_destination_like_others()
{
	local zero=00:00:00:00:00:00

	one_host
	on "fdb append $zero dev x dst 10.0.0.20" \
		"fdb append $zero dev x dst 10.0.0.30"
	ip -n "$host" link set x type stt remote 10.0.0.30
	expect "$zero dst 10.0.0.20 self permanent" \
		"$zero dst 10.0.0.30 self permanent"
	ip -n "$host" link set x type stt remote 10.0.0.40
	expect "$zero dst 10.0.0.20 self permanent" \
		"$zero dst 10.0.0.40 self permanent"
	ip -n "$host" link set x type stt ttl 5
	expect "$zero dst 10.0.0.20 self permanent" \
		"$zero dst 10.0.0.40 self permanent"
	# A device for one remote becomes one for several.
	ip -n "$host" link add y type stt id 6 remote 10.0.0.2
	bridge -n "$host" fdb append $zero dev y dst 10.0.0.3
	[ "$(bridge -n "$host" fdb show dev y | grep -c "^$zero dst")" = 2 ]
}

flush_takes_what_was_asked_for()
{
	one_host
	on "fdb add 02:00:00:00:00:01 dev x dst 10.0.0.2" \
		"fdb add 02:00:00:00:00:02 dev x dst 10.0.0.2 static" \
		"fdb add 02:00:00:00:00:03 dev x dst 10.0.0.2 dynamic" \
		"fdb add 02:00:00:00:00:04 dev x dst 10.0.0.2 extern_learn" \
		"fdb append 00:00:00:00:00:00 dev x dst 10.0.0.2"
	on "fdb flush dev x self static"
	expect "02:00:00:00:00:01 dst 10.0.0.2 self permanent" \
		"02:00:00:00:00:03 dst 10.0.0.2 self" \
		"02:00:00:00:00:04 dst 10.0.0.2 self extern_learn permanent" \
		"00:00:00:00:00:00 dst 10.0.0.2 self permanent"
	on "fdb flush dev x self extern_learn"
	expect "02:00:00:00:00:01 dst 10.0.0.2 self permanent" \
		"02:00:00:00:00:03 dst 10.0.0.2 self" \
		"00:00:00:00:00:00 dst 10.0.0.2 self permanent"
	on "fdb flush dev x self nopermanent"
	expect "02:00:00:00:00:01 dst 10.0.0.2 self permanent" \
		"00:00:00:00:00:00 dst 10.0.0.2 self permanent"
	on "fdb flush dev x self"
	expect "00:00:00:00:00:00 dst 10.0.0.2 self permanent"
}

# bridge(8) can name destinations to flush since 6.7, the kernel since 6.9.
flush_takes_the_destinations_asked_for()
{
	local zero=00:00:00:00:00:00

	bridge fdb help 2>&1 | grep -A 3 'fdb flush' | grep -q dst ||
		skip "this bridge(8) does not flush by destination"
	one_host
	on "fdb append $zero dev x dst 10.0.0.2 port 9" \
		"fdb append $zero dev x dst 10.0.0.2" \
		"fdb append $zero dev x dst 10.0.0.3" \
		"fdb add 02:00:00:00:00:01 dev x dst 10.0.0.2 vni 7" \
		"fdb add 02:00:00:00:00:02 dev x dst 10.0.0.3 vni 7"
	on "fdb flush dev x port 9" || skip "the kernel does not"
	expect "$zero dst 10.0.0.2 self permanent" \
		"$zero dst 10.0.0.3 self permanent" \
		"02:00:00:00:00:01 dst 10.0.0.2 vni 7 self permanent" \
		"02:00:00:00:00:02 dst 10.0.0.3 vni 7 self permanent"
	on "fdb flush dev x dst 10.0.0.2 vni 7"
	expect "$zero dst 10.0.0.2 self permanent" \
		"$zero dst 10.0.0.3 self permanent" \
		"02:00:00:00:00:02 dst 10.0.0.3 vni 7 self permanent"
	on "fdb flush dev x dst 10.0.0.3"
	expect "$zero dst 10.0.0.2 self permanent"
}

# watch: bridge monitor into the file $seen; watched: what it said since, after
# everything has arrived.
watch()
{
	seen=$(mktemp)
	bridge -n "$host" monitor fdb >>"$seen" 2>&1 &
	await 10 mark_seen
	: >"$seen"
}

mark_seen()
{
	bridge -n "$host" fdb replace 02:ff:ff:ff:ff:ff dev under0 self
	grep -q 02:ff:ff:ff:ff:ff "$seen"
}

watched()
{
	await 10 mark_seen
	sed '/02:ff:ff:ff:ff:ff/d; s/ *$//' "$seen"
	: >"$seen"
}

# told COUNT LINE: LINE has that many notifications, about the address in it.
told()
{
	local have

	on "$2"
	have=$(watched)
	[ "$(grep -c '[0-9a-f]' <<<"$have")" = "$1" ] || {
		echo "$2: want $1, have:"
		echo "$have"
		return 1
	}
}

each_change_is_told_once()
{
	one_host
	watch
	told 1 "fdb add 02:00:00:00:00:01 dev x dst 10.0.0.2"
	told 1 "fdb replace 02:00:00:00:00:01 dev x dst 10.0.0.3"
	told 1 "fdb replace 02:00:00:00:00:01 dev x dst 10.0.0.3 static"
	told 1 "fdb append 00:00:00:00:00:00 dev x dst 10.0.0.2"
	told 1 "fdb append 00:00:00:00:00:00 dev x dst 10.0.0.3"
	told 1 "fdb del 00:00:00:00:00:00 dev x dst 10.0.0.2"
	told 1 "fdb del 00:00:00:00:00:00 dev x dst 10.0.0.3"
	told 1 "fdb del 02:00:00:00:00:01 dev x"
	on "fdb add 02:00:00:00:00:01 dev x dst 10.0.0.2" \
		"fdb add 02:00:00:00:00:02 dev x dst 10.0.0.2"
	[ "$(watched | wc -l)" = 2 ]
	# Documented: a flush is not told entry by entry.
	told 0 "fdb flush dev x self"
	# The device's own remote, by ip(8).
	ip -n "$host" link set x type stt remote 10.0.0.9
	[ "$(watched)" = "00:00:00:00:00:00 dev x dst 10.0.0.9 self permanent" ]
	ip -n "$host" link set x type stt remote 10.0.0.8
	[ "$(watched | sort)" = \
"00:00:00:00:00:00 dev x dst 10.0.0.8 self permanent
Deleted 00:00:00:00:00:00 dev x dst 10.0.0.9 self permanent" ]
	rm -f "$seen"
}

a_dump_is_complete()
{
	local count=3000 macs

	one_host
	in_ns "$host" "$frames" fill x 10.0.0.2 $count
	macs=$(entries | cut -d' ' -f1)
	[ "$(wc -l <<<"$macs")" = $count ]
	[ -z "$(uniq -d <<<"$macs")" ]
	[ "$(sed -n '1p;$p' <<<"$macs" | xargs)" = \
	  "02:00:00:00:00:00 02:00:00:00:0b:b7" ]
}

# all_of COUNT COMMAND...: the entries that COMMAND lists are those for
# 02:00:00:01:00:00 and COUNT - 1 up, each once, besides any for 02:00:00:00.
all_of()
{
	local count=$1 macs

	shift
	macs=$("$@" | cut -d' ' -f1 | grep '^02:00:00:0[1-9]' | sort)
	[ "$(wc -l <<<"$macs")" = "$count" ] && [ -z "$(uniq -d <<<"$macs")" ]
}

# overtaken FILE COUNT COMMAND...: the same, several times; three times FILE
# grows meanwhile.
overtaken()
{
	local file=$1 before lines=0 deadline=$((SECONDS + 200))

	shift
	while [ $lines -lt 3 ]; do
		before=$(wc -l <"$file")
		all_of "$@"
		if [ "$(wc -l <"$file")" -gt $((before + 1)) ]; then
			lines=$((lines + 1))
		fi
		[ $SECONDS -lt $deadline ]
	done
}

# Entries that precede those of interest come and go while all are listed.
a_dump_is_complete_whatever_goes_meanwhile()
{
	local count=20000 rounds pid n ctl=${STT_PLUGIN_DIR:-}/sttctl

	[ "${STT_FULL:-}" != 1 ] || count=100000
	[ -x "$ctl" ] || ctl=$(command -v sttctl) || skip "no sttctl"
	one_host
	rounds=$(mktemp)
	in_ns "$host" "$frames" fill x 10.0.0.2 2000
	in_ns "$host" "$frames" fill x 10.0.0.2 $count 02:00:00:01:00:00
	# The destinations of one entry are in a list of their own.
	for n in {1..250}; do
		echo "fdb append 00:00:00:00:00:00 dev x dst 10.0.1.$n"
	done | bridge -n "$host" -batch -
	ip netns exec "$host" "$frames" churn x 10.0.0.2 2000 \
		02:00:00:00:00:00 >"$rounds" &
	pid=$!
	overtaken "$rounds" $count bridge -n "$host" fdb show dev x
	overtaken "$rounds" $count "$ctl" -n "$host" fdb show dev x
	kill $pid
	wait $pid || :
	[ "$("$ctl" -n "$host" fdb show lladdr default | wc -l)" = 250 ]
	[ "$(entries | grep -c '^00:00:00:00:00:00 ')" = 250 ]
	rm -f "$rounds"
}

# three_hosts [OPTION...]: x in host for any remote, and in two others for
# host alone.
three_hosts()
{
	local n name

	ns_create host host2 host3 wire
	# shellcheck disable=SC2154
	quiet "$host" "$host2" "$host3"
	# shellcheck disable=SC2154
	ip -n "$wire" link add br0 type bridge
	ip -n "$wire" link set br0 up
	for n in 1 2 3; do
		name=host${n#1}
		ip link add under0 netns "${!name}" type veth \
			peer name p$n netns "$wire"
		ip -n "$wire" link set p$n master br0 up
		ip -n "${!name}" -batch - <<-END
			addr add 10.0.0.$n/24 dev under0
			link set under0 up
		END
	done
	ip -n "$host" link add x type stt id 5 "$@"
	ip -n "$host" link set x up
	for name in host2 host3; do
		ip -n "${!name}" link add x type stt id 5 remote 10.0.0.1
		ip -n "${!name}" link set x up
	done
}

# send HOST SOURCE [COUNT]: frames from the device of that host.
send()
{
	in_ns "$1" "$frames" send x "$2" ff:ff:ff:ff:ff:ff "${3:-1}"
}

has()
{
	entries | grep -qx "$1"
}

hasnt()
{
	! has "$1"
}

addresses_are_learned_and_move()
{
	local a=02:00:00:00:01:01

	three_hosts
	watch
	# shellcheck disable=SC2154
	send "$host2" $a
	await 10 has "$a dst 10.0.0.2 self"
	send "$host2" $a
	# shellcheck disable=SC2154
	send "$host3" $a
	await 10 has "$a dst 10.0.0.3 self"
	[ "$(entries | wc -l)" = 1 ]
	[ "$(watched)" = "$a dev x dst 10.0.0.2 self
$a dev x dst 10.0.0.3 self" ]
	rm -f "$seen"
	# What an administrator has set stays where it is.
	on "fdb replace $a dev x dst 10.0.0.9 static"
	send "$host2" $a
	send "$host2" 02:00:00:00:01:02
	await 10 has "02:00:00:00:01:02 dst 10.0.0.2 self"
	has "$a dst 10.0.0.9 self static"
}

nothing_is_learned_without_learning()
{
	three_hosts nolearning
	send "$host2" 02:00:00:00:01:01
	await 10 received 1
	[ -z "$(entries)" ]
	ip -n "$host" link set x type stt learning
	send "$host2" 02:00:00:00:01:01
	await 10 has "02:00:00:00:01:01 dst 10.0.0.2 self"
}

received()
{
	[ "$(link_stat "$host" x rx.packets)" -ge "$1" ]
}

no_more_is_learned_than_allowed()
{
	three_hosts maxaddress 3
	on "fdb add 02:00:00:00:02:01 dev x dst 10.0.0.2 static"
	send "$host2" 02:00:00:00:01:01 9
	await 10 received 9
	[ "$(entries | grep -c 'dst 10.0.0.2 self$')" = 3 ]
	on "fdb del 02:00:00:00:01:01 dev x"
	send "$host2" 02:00:00:00:01:08
	await 10 has "02:00:00:00:01:08 dst 10.0.0.2 self"
}

what_is_not_seen_again_is_forgotten()
{
	three_hosts ageing 1
	watch
	on "fdb add 02:00:00:00:02:01 dev x dst 10.0.0.2 static" \
		"fdb add 02:00:00:00:02:02 dev x dst 10.0.0.2 extern_learn" \
		"fdb add 02:00:00:00:02:03 dev x dst 10.0.0.2 dynamic"
	send "$host2" 02:00:00:00:01:01 3
	# It may be gone again before it is looked for, but not untold.
	await 10 grep -q "^02:00:00:00:01:03 dev x dst 10.0.0.2 self" "$seen"
	await 10 hasnt "02:00:00:00:01:03 dst 10.0.0.2 self"
	await 10 hasnt "02:00:00:00:02:03 dst 10.0.0.2 self"
	expect "02:00:00:00:02:01 dst 10.0.0.2 self static" \
		"02:00:00:00:02:02 dst 10.0.0.2 self extern_learn permanent"
	[ "$(watched | grep -c '^Deleted 02:00:00:00:01:0[1-3]')" = 3 ]
	rm -f "$seen"
	# With another time it begins again; without one it ends.
	ip -n "$host" link set x type stt ageing none
	send "$host2" 02:00:00:00:01:01
	await 10 has "02:00:00:00:01:01 dst 10.0.0.2 self"
	ip -n "$host" link set x type stt ageing 1
	await 10 hasnt "02:00:00:00:01:01 dst 10.0.0.2 self"
}

# pktgen DEVICE COUNT ADDRESSES: nanoseconds for each of COUNT frames through
# the device, to that many addresses in turn.
pktgen()
{
	in_ns "$host" bash -e <<-END
		cd /proc/net/pktgen
		echo rem_device_all >kpktgend_0
		echo add_device $1 >kpktgend_0
		echo "count $2" >$1
		echo "delay 0" >$1
		echo "pkt_size 60" >$1
		echo "dst_mac 02:00:00:00:00:00" >$1
		echo "dst_mac_count $3" >$1
		echo start >pgctrl
		grep -q "^Result: OK" $1
		awk -v count=$2 '/^Result: OK/ {
			sub(/.*OK: /, "")
			print int(\$0 * 1000 / count)
		}' $1
	END
}

# least FIRST SECOND: whichever is less.
least()
{
	echo $(($1 && $1 < $2 ? $1 : $2))
}

slab()
{
	awk '/^SUnreclaim:/ { print $2 }' /proc/meminfo
}

# Slabs that RCU has not freed yet are.
slab_below()
{
	[ "$(slab)" -lt "$1" ]
}

a_hundred_thousand_entries()
{
	local count=100000 start before full one=0 many=0 ratio i

	modprobe -q pktgen || skip "no pktgen"
	one_host
	ip -n "$host" link add y type stt id 6
	ip -n "$host" link set y up
	bridge -n "$host" fdb add 02:00:00:00:00:00 dev y dst 10.0.0.2
	before=$(slab)
	start=$(date +%s%N)
	in_ns "$host" "$frames" fill x 10.0.0.2 $count
	full=$(slab)
	echo "$count entries in $((($(date +%s%N) - start) / 1000000)) ms," \
		"$(((full - before) * 1024 / count)) bytes each"
	# The least of many, in turns: others want the CPU too.
	for i in {1..8}; do
		one=$(least "$one" "$(pktgen y 5000 1)")
		many=$(least "$many" "$(pktgen x 5000 $count)")
	done
	ratio=$((many * 100 / one))
	echo "$one ns a frame with one entry, $many ns with $count: $ratio %"
	# No frame was without destination.
	[ "$(ethtool_stat "$host" x tx_no_remote)" = 0 ]
	[ "$(bridge -n "$host" fdb show dev x | wc -l)" = $count ]
	start=$(date +%s%N)
	on "fdb flush dev x self"
	echo "flushed in $((($(date +%s%N) - start) / 1000000)) ms"
	[ -z "$(entries)" ]
	[ "$full" -gt $((before + count / 20)) ]
	await 20 slab_below $((before + (full - before) / 4))
	[ $ratio -lt 130 ]
}

# Two senders with addresses that come and go, frames to these addresses, and
# everything that changes the table, all at once.
changes_under_traffic()
{
	local seconds=5 deadline i=0 mac=02:00:00:00:00:0

	[ "${STT_FULL:-}" != 1 ] || seconds=60
	modprobe -q pktgen || skip "no pktgen"
	three_hosts ageing 1 maxaddress 3000
	for name in host2 host3; do
		in_ns "${!name}" bash -e <<-END
			cd /proc/net/pktgen
			echo add_device x >kpktgend_$i
			echo "count 0" >x
			echo "delay 1000000" >x
			echo "pkt_size 60" >x
			echo "src_mac 02:00:00:00:00:00" >x
			echo "src_mac_count 5000" >x
			echo "flag MACSRC_RND" >x
			echo "dst_mac ff:ff:ff:ff:ff:ff" >x
			(echo start >pgctrl) &
		END
		i=$((1 - i))
	done
	deadline=$((SECONDS + seconds))
	i=0
	while [ $SECONDS -lt $deadline ] || [ $i -lt 5 ]; do
		in_ns "$host" "$frames" send x 02:00:00:00:ff:ff \
			$mac$((i % 10)) 50 &
		on "fdb replace $mac$((i % 10)) dev x dst 10.0.0.2" \
			"fdb append 00:00:00:00:00:00 dev x dst 10.0.0.3" \
			"fdb del $mac$((i % 10)) dev x" \
			"fdb del 00:00:00:00:00:00 dev x" \
			"fdb flush dev x self"
		entries >/dev/null
		wait $!
		i=$((i + 1))
	done
	[ "$(entries | wc -l)" -le 3010 ]
	[ "$(link_stat "$host" x rx.packets)" -gt 100 ]
	for name in host2 host3; do
		in_ns "${!name}" bash -c 'echo stop >/proc/net/pktgen/pgctrl'
	done
	echo "$i rounds, $(link_stat "$host" x rx.packets) frames"
	# It all ages.
	await 10 empty
}

empty()
{
	[ -z "$(entries)" ]
}

[ $# -gt 0 ] || set -- \
	entries_are_shown_as_set entries_are_replaced_and_deleted \
	what_is_wrong_is_refused \
	an_external_device_has_a_table_for_each_context_id \
	the_remote_of_the_device_is_a_destination_like_others \
	flush_takes_what_was_asked_for flush_takes_the_destinations_asked_for \
	each_change_is_told_once a_dump_is_complete \
	a_dump_is_complete_whatever_goes_meanwhile \
	addresses_are_learned_and_move nothing_is_learned_without_learning \
	no_more_is_learned_than_allowed what_is_not_seen_again_is_forgotten \
	a_hundred_thousand_entries changes_under_traffic
run_tests "$@"
