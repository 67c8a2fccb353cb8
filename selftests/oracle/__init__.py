# SPDX-License-Identifier: GPL-2.0
"""Packet-level oracle for Stateless Transport Tunneling.

stt    encode, cut, decode, reassemble and judge segments and frames
link   network namespaces and packet sockets
ktap   test registration and KTAP output
"""
