# SPDX-License-Identifier: GPL-2.0
"""Registers tests and reports them as KTAP.

A test is a function. It passes by returning, fails by raising and is skipped
by raising Skip with the reason. A description may be returned; it is printed
as a diagnostic line.
"""

import sys
import time
import traceback


class Skip(Exception):
    """The test cannot run here; the argument says why."""


class Failure(Exception):
    """The thing under test did not do what it must."""

    def __init__(self, *words):
        super().__init__(" ".join(str(w) for w in words))


def check(condition, *message):
    if not condition:
        raise Failure(*(message or ("check failed",)))


def equal(have, want, what="value"):
    if have != want:
        raise Failure("%s: have %s, want %s" % (what, show(have), show(want)))


def none(problems, what=""):
    problems = list(problems)
    if problems:
        more = "" if len(problems) <= 5 else " (and %d more)" % (
            len(problems) - 5)
        raise Failure(what, "; ".join(str(p) for p in problems[:5]) + more)


def show(value):
    if isinstance(value, (bytes, bytearray)):
        text = value.hex()
        if len(text) > 400:
            text = text[:400] + "..."
        return "%d bytes %s" % (len(value), text)
    if isinstance(value, int) and not isinstance(value, bool):
        return "%d (0x%x)" % (value, value)
    return repr(value)


def diag(*words):
    for line in " ".join(str(w) for w in words).splitlines():
        print("# " + line)
    sys.stdout.flush()


class Suite:
    """The tests of one file, in the order in which they are written."""

    def __init__(self):
        self.tests = []

    def test(self, name):
        def add(function):
            self.tests.append((name, function))
            return function
        return add

    def run(self, chosen=None, setup=None):
        """Run and report all tests, or those that `chosen` accepts by
        name. Returns the exit status."""
        tests = [t for t in self.tests if chosen is None or chosen(t[0])]
        print("KTAP version 1")
        print("1..%d" % len(tests))
        sys.stdout.flush()
        failed = 0
        broken = None
        if setup is not None:
            broken, text = self._attempt(setup)
            broken = None if broken == "ok" else text
            if text:
                diag("set-up: " + text)
        for number, (name, function) in enumerate(tests, 1):
            begin = time.monotonic()
            status, text = ("not ok", "no set-up") if broken else \
                self._attempt(function)
            if text and status != "skip":
                diag(text)
            spent = time.monotonic() - begin
            if spent > 5:
                diag("took %.1f s" % spent)
            tail = ""
            if status == "skip":
                status, tail = "ok", " # SKIP " + text
            elif status != "ok":
                failed += 1
            print("%s %d - %s%s" % (status, number, name, tail))
            sys.stdout.flush()
        return 1 if failed else 0

    @staticmethod
    def _attempt(function):
        """(status, text): "ok", "skip" or "not ok"."""
        try:
            return "ok", function() or ""
        except Skip as reason:
            return "skip", str(reason)
        except Failure as reason:
            at = traceback.extract_tb(reason.__traceback__)
            lines = " < ".join("%s:%d" % (f.name, f.lineno)
                               for f in reversed(at[1:])
                               if not f.filename.endswith("ktap.py"))
            return "not ok", "%s [%s]" % (reason, lines)
        except Exception:  # pylint: disable=broad-except
            return "not ok", traceback.format_exc()
