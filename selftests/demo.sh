#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Shows the main job of the tunnel: two hypervisors (network namespaces) on an
# underlay with MTU 1500, each with a bridge, a "VM" and an stt device as
# bridge port.  Ends with status 0 only if all of it worked.  As root.
set -euE
cd "$(dirname "$0")"
# shellcheck source=selftests/lib.sh
. ./lib.sh

work=$(mktemp -d)
loaded=

# shellcheck disable=SC2317
finish()
{
	local rc=$?

	trap - ERR
	set +e
	jobs -pr | xargs -r kill
	ns_cleanup
	[ -z "$loaded" ] || rmmod stt || rc=1
	rm -rf "$work"
	[ $rc -ne 0 ] || heading "All of it worked"
	exit $rc
}
trap finish EXIT
trap 'echo "failed in line $LINENO: $BASH_COMMAND" >&2' ERR

heading()
{
	printf '\n== %s\n' "$*"
}

# run COMMAND...: shows the command without the namespace, and runs it.
run()
{
	local shown=("$@")

	[ "$1" != in_ns ] || shown=("${2%-*}:" "${@:3}")
	echo "\$ ${shown[*]}"
	"$@"
}

# capture NS DEV FILE [ARGUMENT...]: returns once packets are being captured.
capture()
{
	local ns=$1 dev=$2 file=$3

	shift 3
	ip netns exec "$ns" tcpdump -n --immediate-mode -U -i "$dev" \
		-w "$work/$file" "$@" 2>"$work/$file.log" &
	captures+=($!)
	busywait 10 grep -q 'listening on' "$work/$file.log" >/dev/null
}

captures=()
capture_end()
{
	kill "${captures[@]}"
	wait "${captures[@]}"
	captures=()
}

# segments FILE: number, frame id, frame length, offset, payload, PSH and
# checksum of each packet.  To tcpdump they are TCP: the frame length is the
# upper half of SEQ, the offset the lower, the frame id is ACK.
segments()
{
	tcpdump -n -vv -S -r "$work/$1" 2>/dev/null | awk '
		/^ .* > .*: Flags / {
			number++
			flags = $5
			sum = /\(correct\)/ ? "good" : "BAD"
			match($0, / seq [0-9]+/)
			seq = substr($0, RSTART + 5, RLENGTH - 5)
			match($0, / ack [0-9]+/)
			id = substr($0, RSTART + 5, RLENGTH - 5)
			match($0, / length [0-9]+/)
			bytes = substr($0, RSTART + 8, RLENGTH - 8)
			print number, id, int(seq / 65536), seq % 65536, bytes,
			      flags ~ /P/ ? "PSH" : "-", sum
		}'
}

# throughput NS ARGUMENT...: the totals of iperf3 against the other VM.
throughput()
{
	run in_ns "$@" >"$work/iperf"
	head -n 1 "$work/iperf"
	grep -E '(sender|receiver)$' "$work/iperf"
	# iperf3 is content with nothing received.
	awk '/receiver$/ && $5 > 0 { ok = 1 } END { exit !ok }' "$work/iperf"
}

heading "Module and topology"
if ! stt_loaded; then
	run stt_load
	loaded=1
fi
sed -n '/^# *vm1 /,/2001:db8/s/^#/ /p' lib.sh
topology 1500
topology_tunnel 4
# shellcheck disable=SC2154
in_ns "$hv2" ethtool -K under0 gro on

heading "The VMs ping each other"
# shellcheck disable=SC2154
for address in 192.0.2.2 2001:db8::2; do
	run in_ns "$vm1" ping -c 3 -i 0.2 -w 10 "$address"
done

heading "Bulk traffic in both directions"
# shellcheck disable=SC2154
iperf_server "$vm2"
capture "$hv1" under0 tso.pcap -s 128 'src host 10.0.0.1 and tcp dst port 7471'
throughput "$vm1" iperf3 -c 192.0.2.2 -n 100M -f m
capture_end
throughput "$vm1" iperf3 -c 2001:db8::2 -n 100M -f m -R

heading "STT frames as the hypervisor hands them to its NIC (TSO on)"
segments tso.pcap | awk '
	{ packets++; if ($5 > longest) longest = $5 }
	!seen[$2]++ { frames++; bytes += $3 }
	END {
		mean = frames ? bytes / frames : 0
		printf "%d frames in %d packets, mean frame %d bytes, " \
		       "longest packet %d bytes\n",
		       frames, packets, mean, longest
		if (mean <= 30000) {
			print "the mean must be more than 30000"
			exit 1
		}
	}'

heading "One frame as segments on the underlay (TSO off)"
in_ns "$hv1" ethtool -K under0 tx off >/dev/null
capture "$hv1" under0 segments.pcap 'src host 10.0.0.1 and tcp dst port 7471'
capture "$vm2" eth0 vm.pcap -s 128 'src host 192.0.2.1 and tcp'
in_ns "$vm1" iperf3 -c 192.0.2.2 -n 2M >/dev/null
capture_end
segments segments.pcap >"$work/segments"
# The first frame that shows a middle and is short enough to read.  Wireshark
# fails to put together those whose last segment has 20 bytes or less.
id=$(awk '{ n[$2]++ }
	  $3 == $4 + $5 && $5 > 20 && n[$2] >= 4 && n[$2] <= 12 {
		print $2
		exit
	  }' "$work/segments")
[ -n "$id" ]
printf 'frame id 0x%08x\n' "$id"
awk -v id="$id" '
	$2 == id {
		if (!n++) {
			printf "frame length %d\n", $3
			print "  segment  offset  payload  flags  checksum"
		}
		printf "  %7d  %6d  %7d  %5s  %s\n", n, $4, $5, $6, $7
		if ($7 != "good" || $5 > 1460 || $4 != end)
			bad = 1
		end = $4 + $5
		total = $3
	}
	END { exit bad || end != total }' "$work/segments"

heading "The frame, put together by Wireshark"
last=$(awk -v id="$id" '$2 == id { n = $1 } END { print n }' "$work/segments")
tshark -r "$work/segments.pcap" -o ip.try_heuristic_first:TRUE \
	-V -O stt -Y "frame.number == $last" 2>/dev/null >"$work/frame"
# Not the outer headers, nor flags that are clear, nor what it did not verify.
sed -n '/^Stateless/,$p' "$work/frame" |
	grep -v -e ': False$' -e 'nverified' -e '^$'
grep -q 'Context ID: 0x1122334455667788' "$work/frame"
grep -q '^Transmission Control Protocol, .*Dst Port: 5201' "$work/frame"

heading "The receiving VM gets packets longer than its MTU"
tcpdump -n -v -r "$work/vm.pcap" 2>/dev/null | awk '
	match($0, / length [0-9]+\)/) {
		bytes = substr($0, RSTART + 8, RLENGTH - 9) + 0
		packets++
		long += bytes > 1500
		if (bytes > longest)
			longest = bytes
	}
	END {
		printf "%d packets, %d of them longer than 1500 bytes, " \
		       "longest %d bytes\n", packets, long, longest
		exit !long
	}'

heading "The tunnel and its counters"
run in_ns "$hv1" ip -d link show stt0
run in_ns "$hv1" ip -s link show stt0
run in_ns "$hv1" ethtool -S stt0
