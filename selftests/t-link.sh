#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 240
# Link options as users of ip(8) meet them: what is set is shown, what can be
# changed changes under traffic, what is wrong is refused in one sentence, and
# the command lines written for vxlan work.  As root, with the module loaded.
set -u
cd "$(dirname "$0")" || exit 1
# shellcheck source=selftests/lib.sh
. ./lib.sh

require jq ping

# underlay: a namespace with two underlay devices.
underlay()
{
	ns_create host
	# shellcheck disable=SC2154
	ip -n "$host" -batch - <<-END
		link add under0 type dummy
		link add under1 type dummy
		addr add 10.0.0.1/24 dev under0
		addr add fd00::1/64 dev under0 nodad
		link set under0 up
		link set under1 up
	END
}

# on LINE...: runs lines of ip(8) in the namespace.  One process for all of
# them, for under emulation it is processes that take the time.
on()
{
	printf '%s\n' "$@" | ip -n "$host" -batch -
}

# expect PROGRAM: of jq, must be true of all stt devices, by their names.
expect()
{
	local links

	links=$(ip -n "$host" -j -d link show type stt)
	jq -e "map({(.ifname): .linkinfo.info_data}) | add | $1" \
		<<<"$links" >/dev/null || {
		echo "not so: $1"
		jq -c '.[] | [.ifname, .linkinfo.info_data]' <<<"$links"
		return 1
	}
}

links()
{
	ip -n "$host" -j -d link show type stt |
		jq -Sc '.[] | [.ifname, .linkinfo]'
}

sentence()
{
	[[ $1 != *$'\n'* && $1 =~ ^Error:\ [\"A-Za-z].*[^\ ]\.$ ]]
}

# refused WORDS LINE: must fail with one sentence that has these words (an
# extended regular expression) in it.
refused()
{
	local words=$1 output

	shift
	# shellcheck disable=SC2086
	if output=$(ip -n "$host" $1 2>&1); then
		echo "accepted: $1"
		return 1
	fi
	sentence "$output" && [[ $output =~ $words ]] && return
	echo "$1: want one sentence about /$words/, have:"
	echo "$output"
	return 1
}

# all_refused WORDS LINE WORDS LINE...: the same of lines that the kernel
# refuses, for ip(8) goes on after those alone.
all_refused()
{
	local lines=() words=() messages=() i line message=''

	while [ $# -gt 0 ]; do
		words+=("$1") lines+=("$2")
		shift 2
	done
	while IFS= read -r line; do
		if [[ $line =~ ^Command\ failed\ -:([0-9]+)$ ]]; then
			messages[BASH_REMATCH[1]]=$message
			message=
		else
			message+=${message:+$'\n'}$line
		fi
	done < <(printf '%s\n' "${lines[@]}" |
		 ip -n "$host" -force -batch - 2>&1)
	for i in "${!lines[@]}"; do
		message=${messages[i + 1]-}
		if ! sentence "$message" ||
		   [[ ! $message =~ ${words[i]} ]]; then
			echo "${lines[i]}: want one sentence about" \
				"/${words[i]}/, have: ${message:-success}"
			return 1
		fi
	done
}

defaults_are_shown()
{
	underlay
	on "link add multi type stt id 5" \
		"link add single type stt id 6 remote 10.0.0.2" \
		"link add outer type stt external dstport 7472" \
		"link add many type stt id 7 group 239.0.0.1 dev under0"
	expect '.multi | [.id, .id_hex] == [5, "0x0000000000000005"]'
	expect '.multi | [.port, .port_range] ==
		[7471, {"low": 49152, "high": 65535}]'
	expect '.multi | [.ttl, .ttl_inherit, .tos, .df] ==
		[0, false, null, "set"]'
	expect '.multi | [.learning, .ageing, .limit] == [true, 300, 0]'
	expect '.multi | [.csumtrust, .vlancompat, .dscpcopy] ==
		[true, false, false]'
	expect '.multi | [.remote, .local, .link, .label, .fwmark] ==
		[null, null, null, null, null]'
	expect '.multi | [.okey, .okey_hex] == [5, "0x0000000000000005"]'
	expect '.single | [.remote, .learning] == ["10.0.0.2", false]'
	expect '.outer | [.external, .id, .learning] == [true, null, false]'
	expect '.many | [.group, .learning, .link] ==
		["239.0.0.1", true, "under0"]'
}

# Options and what they show, each with another value than the one before.
options=(
	"remote 10.0.0.2|.remote|\"10.0.0.2\""
	"remote 10.0.0.3|.remote|\"10.0.0.3\""
	"local 10.0.0.1|.local|\"10.0.0.1\""
	"local 10.0.0.9|.local|\"10.0.0.9\""
	"dev under0|.link|\"under0\""
	"dev under1|.link|\"under1\""
	"ttl 64|.ttl, .ttl_inherit|64,false"
	"ttl inherit|.ttl, .ttl_inherit|0,true"
	"ttl 255|.ttl, .ttl_inherit|255,false"
	"ttl auto|.ttl, .ttl_inherit|0,false"
	"tos 0xb8|.tos|\"0xb8\""
	"tos inherit|.tos|\"inherit\""
	"dsfield 0x10|.tos|\"0x10\""
	"tos 0|.tos|null"
	"fwmark 0x80000000|.fwmark|\"0x80000000\""
	"fwmark 0|.fwmark|null"
	"df unset|.df|\"unset\""
	"df inherit|.df|\"inherit\""
	"df set|.df|\"set\""
	"srcport 1 65535|.port_range|{\"low\":1,\"high\":65535}"
	"srcport 9 9|.port_range|{\"low\":9,\"high\":9}"
	"learning|.learning|true"
	"nolearning|.learning|false"
	"ageing 10|.ageing|10"
	"ageing none|.ageing|0"
	"maxaddress 4294967295|.limit|4294967295"
	"maxaddress unlimited|.limit|0"
	"nocsumtrust|.csumtrust|false"
	"csumtrust|.csumtrust|true"
	"vlancompat|.vlancompat|true"
	"novlancompat|.vlancompat|false"
	"dscpcopy|.dscpcopy|true"
	"nodscpcopy|.dscpcopy|false"
)

options_are_shown_as_created()
{
	local words filter value lines=() program=true i

	underlay
	for i in "${!options[@]}"; do
		IFS='|' read -r words filter value <<<"${options[i]}"
		lines+=("link add x$i type stt id $i $words")
		program+=" and (.x$i | [$filter] == [$value])"
	done
	on "${lines[@]}" "link add p type stt id 1 dstport 1" \
		"link add y type stt id 1 remote fd00::2 local fd00::1 \
			flowlabel 0xfffff dstport 65535" \
		"link add z type stt external keybase 4294967295 dstport 7"
	expect "$program"
	expect '.p.port == 1'
	expect '.y | [.remote6, .local6, .label, .port] ==
		["fd00::2", "fd00::1", "0xfffff", 65535]'
	expect '.z | [.external, .keybase] == [true, 4294967295]'
}

options_change_and_nothing_else_does()
{
	local words filter value lines=() program='[' i output

	underlay
	on "link add x type stt id 0xfedcba9876543210 remote 10.0.0.2"
	lines=("link show x")
	for i in "${!options[@]}"; do
		IFS='|' read -r words filter value <<<"${options[i]}"
		lines+=("link change x type stt $words" "link show x")
		program+="([.[$i + 1] | $filter] == [$value] and
			([.[$i, $i + 1] | del($filter)] | .[0] == .[1])),"
	done
	output=$(printf '%s\n' "${lines[@]}" |
		ip -n "$host" -j -d -batch - |
		jq -sc "map(.[0].linkinfo.info_data) | . as \$all |
			${program%,}] | to_entries[] | select(.value | not) |
			[.key, \$all[.key, .key + 1]]")
	if [ -n "$output" ]; then
		echo "number of the change, configuration before and after:"
		echo "$output"
		return 1
	fi
	on "link add y type stt id 1 remote fd00::2" \
		"link change y type stt flowlabel 5 remote fd00::3"
	expect '.y | [.remote6, .label] == ["fd00::3", "0x5"]'
	on "link change y type stt flowlabel inherit"
	expect '.y.label == "inherit"'
	on "link change y type stt flowlabel 0"
	expect '.y.label == null'
	# Of a device without an FDB.
	on "link change y type stt okey 0xfffffffffffffffe"
	expect '.y | [.id, .okey_hex] == [1, "0xfffffffffffffffe"]'
}

the_id_keeps_all_of_its_64_bits()
{
	local id i=0 lines=() ids shown
	local ids=(0 1 16777216 4294967296 9007199254740993
		18364758544493064720 18446744073709551615)

	underlay
	for id in "${ids[@]}"; do
		lines+=("link add x$((i++)) type stt id $id")
	done
	on "${lines[@]}" "link add y type stt key 0xfedcba9876543211" \
		"link add z type stt vni 0xfedcba9876543212"
	# jq itself would lose digits of the number.
	shown=$(ip -n "$host" -j -d link show type stt |
		grep -oP '"id":\s*\K[0-9]+' | xargs)
	[ "$shown" = \
	  "${ids[*]} 18364758544493064721 18364758544493064722" ] || {
		echo "$shown"
		return 1
	}
	expect '[.x5, .y, .z | .id_hex] == ["0xfedcba9876543210",
		"0xfedcba9876543211", "0xfedcba9876543212"]'
}

what_is_wrong_is_refused_in_one_sentence()
{
	local try="link add x type stt"

	underlay
	# By the plugin; its own test has all of these.
	refused "id.*0 to 18446744073709551615" \
		"$try id 18446744073709551616"
	refused "bogus" "$try id 1 bogus"
	refused "none0" "$try id 1 dev none0"
	refused "udpcsum" "$try id 1 udpcsum"
	# By the kernel.
	all_refused "id" "$try" \
		"id" "$try remote 10.0.0.2" \
		"Remote" "$try id 1 remote 255.255.255.255" \
		"group" "$try id 1 group 239.0.0.1" \
		"dev" "$try id 1 group ff0e::1" \
		"dev" "$try id 1 remote fe80::1" \
		"family" "$try id 1 remote 10.0.0.2 local fd00::1" \
		"family" "$try id 1 remote fd00::2 local 10.0.0.1" \
		"flow label" "$try id 1 remote 10.0.0.2 flowlabel 5" \
		"keybase" "$try id 1 keybase 5" \
		"\(id\)" "$try external id 1" \
		"remote" "$try external remote 10.0.0.2"
	[ -z "$(ip -n "$host" link show type stt)" ]
}

what_cannot_change_is_refused_and_stays()
{
	local before

	underlay
	on "link add x type stt id 5 remote 10.0.0.2" \
		"link add y type stt external"
	before=$(links)
	set="link set x type stt"
	all_refused "id" "$set id 6" \
		"okey" "$set okey 6 learning" \
		"dstport" "$set dstport 7472" \
		"external" "$set external" \
		"keybase" "$set keybase 5" \
		"family" "$set remote fd00::2" \
		"family" "$set local fd00::1" \
		"flow label" "$set flowlabel 7" \
		"dev" "$set group 239.0.0.1"
	set="link set y type stt"
	all_refused "external" "$set noexternal" \
		"id" "$set id 6" \
		"okey" "$set okey 6" \
		"remote" "$set remote 10.0.0.2" \
		"keybase" "$set keybase 6" \
		"dstport" "$set dstport 7472"
	# What it is already is no change.
	on "link set x type stt id 5 dstport 7471 remote 10.0.0.2"
	[ "$(links)" = "$before" ]
}

the_same_tunnel_twice_is_refused()
{
	local try="link add x type stt"

	underlay
	# Each of these differs in one thing.
	on "link add a0 type stt id 5 remote 10.0.0.2 local 10.0.0.1" \
		"link add a1 type stt id 6 remote 10.0.0.2 local 10.0.0.1" \
		"link add a2 type stt id 5 remote 10.0.0.3 local 10.0.0.1" \
		"link add a3 type stt id 5 remote 10.0.0.2 local 10.0.0.9" \
		"link add a4 type stt id 5 remote 10.0.0.2 local 10.0.0.1 \
			dstport 7472" \
		"link add a5 type stt id 5 remote 10.0.0.2" \
		"link add a6 type stt id 5 local 10.0.0.1" \
		"link add a7 type stt id 5" \
		"link add a8 type stt external" \
		"link add a9 type stt external local 10.0.0.1" \
		"link add b0 type stt external keybase 1" \
		"link add b1 type stt external keybase 2"
	# A device with a table hears any remote, as a7 does.
	all_refused "exists" "$try id 5 remote 10.0.0.2 local 10.0.0.1" \
		"exists" "$try id 5" \
		"exists" "$try id 5 local 10.0.0.1" \
		"exists" "$try external" \
		"exists" "$try external keybase 1" \
		"exists" "$try id 5 remote 10.0.0.7 learning" \
		"exists" "link set a2 type stt remote 10.0.0.2" \
		"exists" "link set a5 type stt learning"
	expect '.a2.remote == "10.0.0.3" and .a5.learning == false'
	# Another device may have it once the first is gone.
	on "link del a0" "$try id 5 remote 10.0.0.2 local 10.0.0.1"
}

the_mtu_is_what_was_asked_for()
{
	local max

	underlay
	on "link add x0 type stt id 0 remote 10.0.0.2 dev under0" \
		"link add x1 mtu 68 type stt id 1" \
		"link add x2 mtu 9000 type stt id 2" \
		"link add x3 mtu 65000 type stt id 3"
	[ "$(ip -n "$host" -j link show type stt | jq -c 'map(.mtu)')" = \
	  "[1500,68,9000,65000]" ]
	max=$(ip -n "$host" -j -d link show x0 | jq '.[0].max_mtu')
	[ "$max" -ge 65000 ]
	on "link set x0 mtu $max"
	all_refused "mtu" "link set x0 mtu $((max + 1))" \
		"mtu" "link set x0 mtu 67" \
		"mtu" "link add y mtu $((max + 1)) type stt id 6"
}

the_underlay_device_is_shown()
{
	underlay
	on "link add x type stt id 5 remote 10.0.0.2 dev under0" \
		"link add y type stt id 6 remote 10.0.0.2"
	[ "$(ip -n "$host" -j link show type stt | jq -c 'map(.link)')" = \
	  '["under0",null]' ]
	ip -n "$host" link show x | grep -q 'x@under0:'
	on "link change x type stt dev under1"
	ip -n "$host" link show x | grep -q 'x@under1:'
}

# A stream of pings, each of which is a frame of several segments.
no_packet_is_lost_by_a_change()
{
	local count=0 output changes=() option tmp
	local pings=$((2000 / ${STT_SLOW:-1}))

	for option in "ttl 9" "tos inherit" "tos 0x10" "df unset" "df set" \
		      "srcport 5 7" "srcport 1 65535" "remote 10.0.0.2" \
		      "ageing 7" "ttl auto" "learning" "nolearning" \
		      "local 0.0.0.0" "local 10.0.0.1"; do
		changes+=("link change stt0 type stt $option")
	done
	topology 1500
	topology_tunnel 4
	# shellcheck disable=SC2154
	busywait 10 in_ns "$vm1" ping -c 1 -W 1 192.0.2.2 >/dev/null
	tmp=$(mktemp)
	in_ns "$vm1" ping -i 0.002 -c $pings -s 3000 -q 192.0.2.2 >"$tmp" 2>&1 &
	while kill -0 $! 2>/dev/null; do
		# shellcheck disable=SC2154
		host=$hv1 on "${changes[@]}"
		count=$((count + ${#changes[@]}))
	done
	output=$(cat "$tmp")
	rm -f "$tmp"
	echo "$count changes: $output"
	grep -q " $pings received, 0% packet loss" <<<"$output"
	[ $count -gt ${#changes[@]} ]
}

# What is written for vxlan, by whom; the kind and the name of the device are
# all that differs.
vxlan_lines=(
	# flannel, canal
	"link add flannel.1 type vxlan id 1 dev under0 local 10.0.0.1 dstport 8472 nolearning"
	# ifupdown2
	"link add dev vni10 type vxlan id 10 local 10.0.0.1 dstport 4789 nolearning"
	"link add vx-20 type vxlan id 20 local 10.0.0.1 dstport 4789 ttl 64 ageing 1800 learning"
	# what networkd and NetworkManager can set
	"link add vx-30 mtu 1450 address 02:00:00:00:00:30 type vxlan id 30 remote 10.0.0.30 local 10.0.0.1 tos 16 ttl 5 learning ageing 600 maxaddress 100 dstport 4789 srcport 5000 6000 df inherit"
	"link add vx-31 type vxlan vni 31 remote fd00::31 local fd00::1 flowlabel 0x5 dstport 4789"
	# kernel self-tests and manual pages
	"link add name vx1 up type vxlan id 1000 local 192.0.2.17 dstport 4789 nolearning tos inherit ttl 100"
	"link add vx2 type vxlan id 42 group 239.1.1.1 dev under0 dstport 4789"
	"link add vx3 type vxlan id 43 group ff0e::110 dev under0 dstport 4789"
	"link add vx4 type vxlan external dstport 4790"
	"link set dev vx2 type vxlan ttl 64"
	"link set dev vx2 type vxlan nolearning"
	"link add vx0 type vxlan dev under0 id 0 remote 10.0.0.2"
	# the order does not matter
	"link add vx5 type vxlan dstport 4791 remote 10.0.0.2 id 99 dev under1"
)

command_lines_for_vxlan_work()
{
	underlay
	on "${vxlan_lines[@]/type vxlan/type stt}"
	expect '."flannel.1" | [.id, .link, .local, .port, .learning] ==
		[1, "under0", "10.0.0.1", 8472, false]'
	expect '."vx-30" | [.remote, .ttl, .tos, .ageing, .limit, .df] ==
		["10.0.0.30", 5, "0x16", 600, 100, "inherit"]'
	expect '.vx2 | [.group, .ttl, .learning] == ["239.1.1.1", 64, false]'
	expect '.vx3.group6 == "ff0e::110"'
	[ "$(in_ns "$host" cat /sys/class/net/vx-30/mtu)" = 1450 ]
	on "link set vx2 up" "link set vx3 up"
	in_ns "$host" cat /proc/net/igmp | grep -qi 010101EF
	in_ns "$host" grep -q ff0e0000000000000000000000000110 \
		/proc/net/igmp6
}

help_begins_with_usage()
{
	ip link help stt 2>&1 | head -n 1 | grep -q '^Usage:.* stt'
	ip link add x type stt help 2>&1 | head -n 1 | grep -q '^Usage:'
}

run_tests defaults_are_shown options_are_shown_as_created \
	options_change_and_nothing_else_does the_id_keeps_all_of_its_64_bits \
	what_is_wrong_is_refused_in_one_sentence \
	what_cannot_change_is_refused_and_stays \
	the_same_tunnel_twice_is_refused the_mtu_is_what_was_asked_for \
	the_underlay_device_is_shown no_packet_is_lost_by_a_change \
	command_lines_for_vxlan_work help_begins_with_usage
