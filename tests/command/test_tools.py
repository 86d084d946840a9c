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
        for path in (ROOT / "tools").iterdir():
            if path.name == "figures" or os.access(path, os.X_OK) and path.is_file() or path.name in (
                    "bench.c", "torch_activations.py"):
                (shutil.copytree if path.is_dir() else shutil.copy)(path, self.copy / "tools" / path.name)
        (self.copy / "datasets").mkdir()
        shutil.copy(ROOT / "datasets/command.py", self.copy / "datasets")
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
        self.assertEqual(sorted(path.name for path in self.copy.iterdir()), ["datasets", "meson.build", "tools"])

    def test_each_script_answers_and_refuses_before_it_does_anything(self):
        self.stand_in("meson", "ninja", "apt-get", "sudo", "dpkg-query")
        scripts = sorted(path.name for path in (self.copy / "tools").iterdir()
                         if path.is_file() and os.access(path, os.X_OK))
        self.assertIn("refresh", scripts)
        for name in scripts:
            with self.subTest(script=name):
                for word in ("--help", "-h"):
                    done = self.call(name, word)
                    self.assertIn("usage: ", done.stdout)
                    self.assertIn(name, done.stdout)
                    self.assertEqual(done.stderr, "")
                if name != "glesim": # whose arguments are the program's, which is built for them
                    for word in ("--hepl", "-x"):
                        done = self.call(name, word, code=2)
                        self.assertEqual(done.stdout, "")
                        self.assertNotEqual(done.stderr, "")
        for name, args in (("test", ["--all", "more"]), ("refresh", ["more"]), ("setup", ["--packages"])):
            self.assertIn(f"tools/{name}: ", self.call(name, *args, code=2).stderr)
        self.assertEqual(self.called(), [])
        self.assertEqual(sorted(path.name for path in self.copy.iterdir()), ["datasets", "meson.build", "tools"])

    def test_help_of_a_program_that_is_built_is_its_own(self):
        self.stand_in("meson", "ninja", "apt-get", "sudo", "dpkg-query")
        (self.copy / "build/src").mkdir(parents=True)
        program = self.copy / "build/src/glesim"
        program.write_text("#!/bin/sh\necho the program says \"$@\"\n", encoding="ascii")
        program.chmod(0o755)
        self.assertEqual(self.call("glesim", "-h").stdout, "the program says --help\n")
        self.assertEqual(self.called(), [])

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
