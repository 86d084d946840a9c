"""tools/count_tests.py: what it makes of the logs of meson. Standard library only."""

import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

COUNT = pathlib.Path(__file__).resolve().parents[2] / "tools" / "count_tests.py"

CMOCKA = """[==========] Running 3 test(s).
[ RUN      ] good
[       OK ] good
[ RUN      ] large
case/large.npz is not here
[  SKIPPED ] large
[ RUN      ] silent
[  SKIPPED ] silent
[==========] 3 test(s) run.
[  PASSED  ] 1 test(s).
[  SKIPPED ] 2 test(s), listed below:
[  SKIPPED ] large
[  SKIPPED ] silent

 2 SKIPPED TEST(S)
"""
CMOCKA_FAILED = """[==========] group: Running 2 test(s).
[ RUN      ] good
[       OK ] good
[ RUN      ] bad
[  FAILED  ] bad
[==========] group: 2 test(s) run.
[  PASSED  ] 1 test(s).
[  FAILED  ] group: 1 test(s), listed below:
[  FAILED  ] bad

 1 FAILED TEST(S)
"""
UNITTEST = "..s.F\n----\nRan 5 tests in 0.1s\n\nFAILED (failures=1, skipped=1)\n"


def test(name, result="OK", stdout="", stderr=""):
    return {"name": name, "result": result, "stdout": stdout, "stderr": stderr}


class Count(unittest.TestCase):
    def count(self, *logs, broken=0, code=0):
        with tempfile.TemporaryDirectory() as folder:
            paths = [pathlib.Path(folder) / f"{i}.json" for i in range(len(logs))]
            for path, tests in zip(paths, logs):
                if tests is not None:
                    path.write_text("".join(json.dumps(test) + "\n" for test in tests), encoding="utf-8")
            done = subprocess.run([sys.executable, COUNT, "--broken", str(broken), *paths], capture_output=True,
                                  text=True, check=False)
        self.assertEqual(done.returncode, code, done.stderr)
        return done.stdout.splitlines()

    def test_ends_with_the_counts_alone_on_a_line(self):
        self.assertEqual(self.count([test("a"), test("b")]), ["2 passed, 0 failed"])
        self.assertEqual(self.count([test("a", "FAIL", CMOCKA_FAILED)], code=1), ["1 passed, 1 failed"])

    def test_names_what_was_skipped_and_why(self):
        self.assertEqual(self.count([test("parity", stdout=CMOCKA), test("a")]),
                         ["skipped: parity: large: case/large.npz is not here", "skipped: parity: silent",
                          "2 passed, 0 failed, 2 skipped"])
        self.assertEqual(self.count([test("plot", "FAIL", stderr=UNITTEST), test("schema", "SKIP", "yaml is needed\n"),
                                     test("x", "SKIP")], code=1),
                         ["skipped: plot: 1 of its tests", "skipped: schema: yaml is needed", "skipped: x: all of it",
                          "3 passed, 1 failed, 3 skipped"])

    def test_counts_what_ends_badly_without_a_word_as_one_failure(self):
        self.assertEqual(self.count([test("a"), test("b", "TIMEOUT"), test("c", "FAIL", "[ RUN      ] x\n")], code=1),
                         ["1 passed, 2 failed"])

    def test_fails_where_nothing_was_built_or_run(self):
        self.assertEqual(self.count(code=1), ["0 passed, 0 failed"])
        self.assertEqual(self.count([test("a")], broken=1, code=1), ["1 passed, 1 failed"])
        self.assertEqual(self.count([test("a")], None, code=1), ["1 passed, 1 failed"])
        self.assertEqual(self.count([test("a")], [], code=1), ["1 passed, 1 failed"])


if __name__ == "__main__":
    unittest.main()
