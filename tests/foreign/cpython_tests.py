"""Run one of Python's own test modules and write down what comes of each test; started by `cpython.py`, plain and woven.

    python cpython_tests.py REPORT SECONDS test.test_x [GLOB …]

Tests whose ids match a glob are left out.
A line of JSON as each test begins and ends, so that a crash tells how far it came.
"""

import faulthandler
import json
import sys
import unittest
from fnmatch import fnmatchcase

from test import support


class Result(unittest.TextTestResult):
    def write(self, test, outcome, said=""):
        report.write(json.dumps((test.id(), outcome, said)) + "\n")
        report.flush()

    def startTest(self, test):
        self.write(test, "begun")
        super().startTest(test)

    def addSuccess(self, test):
        self.write(test, "passed")

    def addError(self, test, error):
        self.write(test, "error", self._exc_info_to_string(error, test))

    def addFailure(self, test, error):
        self.write(test, "failure", self._exc_info_to_string(error, test))

    def addSubTest(self, test, subtest, error):
        if error is not None:
            outcome = "failure" if issubclass(error[0], test.failureException) else "error"
            self.write(subtest, outcome, self._exc_info_to_string(error, test))
            self.write(test, outcome, self._exc_info_to_string(error, test))

    def addSkip(self, test, reason):
        self.write(test, f"skipped: {reason}")

    def addExpectedFailure(self, test, error):
        self.write(test, "expected failure")

    def addUnexpectedSuccess(self, test):
        self.write(test, "unexpected success")


def kept(suite, globs):
    """The tests of a suite, those in it included, that no glob names."""
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield unittest.TestSuite(kept(test, globs))
        elif not any(fnmatchcase(test.id(), glob) for glob in globs):
            yield test


path, seconds, name, *left_out = sys.argv[1:]
del sys.argv[1:]
if __name__ == "__main__":
    report = open(path, "a")
    faulthandler.dump_traceback_later(int(seconds), exit=True)
    support.use_resources = ()  # as `python -m test` without -u: no network, nothing that takes very long
    tests = unittest.defaultTestLoader.loadTestsFromName(name)
    tests = unittest.TestSuite(kept(tests, left_out))
    unittest.TextTestRunner(resultclass=Result, stream=sys.stderr, verbosity=2).run(tests)
    report.write('["the end", "passed", ""]\n')
    report.close()
