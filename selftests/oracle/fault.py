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

    def trace(self, number, act):
        """(result, trace): of act(), whose number-th allocation fails, and
        what the kernel says of that one, with the functions on its stack."""
        with open("/dev/kmsg", "rb", buffering=0,
                  opener=lambda path, flags: os.open(
                      path, flags | os.O_NONBLOCK)) as log:
            log.seek(0, os.SEEK_END)
            _verbose(2)
            self.arm(number)
            result = act()
            self.disarm()
            _verbose(0)
            records = []
            while record := log.read(8192):
                records.append(record.decode().split(";", 1)[1])
        return result, "".join(records)


def _verbose(level):
    for kind in ("failslab", "fail_page_alloc"):
        for name, value in (("verbose_ratelimit_interval_ms", 0),
                            ("verbose", level)):
            with open("/sys/kernel/debug/%s/%s" % (kind, name), "w",
                      encoding="ascii") as file:
                file.write(str(value))
