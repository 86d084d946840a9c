"""Tools answer questions about themselves before they do anything, and say little. Standard library only."""

import os
import shutil
import subprocess
import unittest

from case import InFolder, ROOT

SILENT = """#!/bin/sh
echo "$0 $*" >>"$CALLS"
case "$*" in *fail*) echo "what it says"; exit 1 ;; esac
[ "${1:-}" != setup ] || { mkdir -p "$2"; echo "src/libglesim.a --internal regenerate $PWD $PWD/$2" >"$2/build.ninja"; }
for i in $(seq 600); do echo "[$i/600] a line"; done
"""


class Tools(InFolder):
    def setUp(self):
        super().setUp()
        self.calls = self.folder / "calls"
        self.copy = self.folder / "a copy"
        (self.copy / "tools").mkdir(parents=True)
        for name in ("setup", "test", "plot", "figures"):
            (shutil.copytree if name == "figures" else shutil.copy)(ROOT / "tools" / name, self.copy / "tools" / name)
        shutil.copy(ROOT / "meson.build", self.copy)
        (self.folder / "bin").mkdir()

    def stand_in(self, *names, text=SILENT):
        """Commands that only note that they were called."""
        for name in names:
            path = self.folder / "bin" / name
            path.write_text(text, encoding="ascii")
            path.chmod(0o755)

    def call(self, tool, *args, code=0):
        env = {**os.environ, "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}", "CALLS": str(self.calls),
               "PYTHONDONTWRITEBYTECODE": "1"}
        env.pop("CC", None)
        done = subprocess.run([self.copy / "tools" / tool, *args], env=env, cwd=self.folder, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, check=False, timeout=100)
        self.assertEqual(done.returncode, code, (done.stdout, done.stderr))
        return done

    def called(self):
        return self.calls.read_text(encoding="utf-8").splitlines() if self.calls.exists() else []

    def test_help_installs_and_builds_nothing(self):
        self.stand_in("meson", "ninja", "apt-get", "sudo", "dpkg-query")
        for tool, args, code, word in (("setup", ["--help"], 0, "usage: tools/setup"), ("setup", ["-h"], 0, "usage:"),
                                       ("setup", ["--hepl"], 2, "unknown option --hepl"),
                                       ("test", ["--help"], 0, "usage: tools/test"), ("test", ["-x"], 2, "usage:"),
                                       ("plot", ["--help"], 0, "usage: plot"), ("plot", ["-h"], 0, "fig10"),
                                       ("plot", ["--version"], 0, "glesim 0."), ("plot", [], 2, "required"),
                                       ("plot", ["fig7"], 2, "no figure 'fig7'"), ("plot", ["run"], 2, "which run?"),
                                       ("plot", ["fig8", "--format", "gif"], 2, "none of svg"),
                                       ("plot", ["fig8", "--nothing"], 2, "unrecognized")):
            done = self.call(tool, *args, code=code)
            self.assertIn(word, done.stderr if code else done.stdout)
        self.assertEqual(self.called(), [])
        self.assertEqual(sorted(path.name for path in self.copy.iterdir()), ["meson.build", "tools"])

    def test_building_says_little(self):
        self.stand_in("meson", "ninja", "apt-get")
        self.stand_in("dpkg-query", text="#!/bin/sh\nshift 2\nfor each; do echo \"=$each:installed=\"; done\n")
        done = self.call("setup", "build")
        self.assertEqual((done.stdout, done.stderr), ("", "tools/setup: building in build/, which takes a minute\n"))
        self.assertIn("[600/600] a line", (self.copy / "build/setup.log").read_text(encoding="utf-8"))
        self.call("setup", "build-fail", code=1)
        self.assertIn("what it says\ntools/setup: this failed: meson setup build-fail",
                      self.call("setup", "build-fail", code=1).stderr)

    def test_installing_says_little(self):
        self.stand_in("apt-get", "sudo")
        self.stand_in("id", text="#!/bin/sh\necho 0\n")
        self.stand_in("dpkg-query", text="#!/bin/sh\n")
        done = self.call("setup", "--packages", "some", "others")
        self.assertEqual((done.stdout, done.stderr), ("", "tools/setup: installing some others\n"))
        self.assertEqual(len(self.called()), 2)
        self.assertIn("what it says", self.call("setup", "--packages", "failing", code=1).stderr)

    def test_a_folder_that_was_copied_is_made_anew(self):
        self.stand_in("meson", "ninja")
        self.stand_in("dpkg-query", text="#!/bin/sh\nshift 2\nfor each; do echo \"=$each:installed=\"; done\n")
        self.call("setup", "build")
        (self.copy / "build/old").write_text("")
        self.call("setup", "build")
        self.assertTrue((self.copy / "build/old").exists())
        self.copy = self.copy.rename(self.folder / "elsewhere")
        done = self.call("setup", "build")
        self.assertIn("tools/setup: build/ was made elsewhere: making it anew\n", done.stderr)
        self.assertFalse((self.copy / "build/old").exists())
        self.assertIn(f"regenerate {self.copy} ", (self.copy / "build/build.ninja").read_text(encoding="utf-8"))
        self.assertNotIn("anew", self.call("setup", "build").stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
