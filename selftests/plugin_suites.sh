#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The ip(8) plugin with this machine's ip and with every one that a supported
# Debian suite ships.

exec "$(dirname "$0")/plugin.sh" host bullseye bookworm bookworm-backports \
	trixie trixie-backports sid
