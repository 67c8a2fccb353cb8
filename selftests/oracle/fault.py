# SPDX-License-Identifier: GPL-2.0
"""Failing allocations, as Documentation/fault-injection of the kernel has it.

Which may fail at all is up to faults.sh.
"""

import os
import threading


class Faults:
    """Lets the n-th allocation of this thread fail, not those of interrupts."""

    def __init__(self):
        path = "/proc/self/task/%d/fail-nth" % threading.get_native_id()
        self.fd = os.open(path, os.O_RDWR)

    def arm(self, number):
        os.write(self.fd, b"%d" % number)

    def disarm(self):
        """How many more would have had to be made; 0 if one has failed."""
        left = int(os.pread(self.fd, 16, 0))
        os.write(self.fd, b"0")
        return left
