"""The manual page can be set without a warning, and the completions complete. What needs a shell or groff that is not
installed is left out.

usage: test_shell.py GLESIM.1 BASH ZSH    the files that the build has made
"""

import pathlib
import shutil
import subprocess
import sys
import unittest

CONFIGS = pathlib.Path(__file__).resolve().parents[2] / "configs"
MAN, BASH, ZSH = (pathlib.Path(name).resolve() for name in sys.argv[1:4])
SCRIPT = """
source "$1"; shift
compopt() { :; }
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_glesim
printf '%s\\n' "${COMPREPLY[@]}"
"""


def complete(*words):
    done = subprocess.run(["bash", "--norc", "-c", SCRIPT, "bash", BASH, "glesim", *words], cwd=CONFIGS,
                          capture_output=True, check=True)
    return done.stdout.decode().split()


class ShellFiles(unittest.TestCase):
    def test_manual_page(self):
        text = MAN.read_text(encoding="utf-8")
        for word in (r"\-\-seeds", r"\-\-schema", ".SH EXIT STATUS", "diverged", "glesim 0."):
            self.assertIn(word, text)
        self.assertNotIn("@", text)
        if shutil.which("groff"):
            done = subprocess.run(["groff", "-man", "-ww", "-Tascii", MAN], capture_output=True, check=True)
            self.assertEqual(done.stderr.decode(), "")

    @unittest.skipUnless(shutil.which("bash"), "there is no bash")
    def test_bash_completes(self):
        self.assertEqual(complete("--se"), ["--set", "--seed", "--seeds"])
        self.assertEqual(complete("xo"), ["xor.yaml"])
        self.assertEqual(complete("xor.yaml", "--set", "learning.optimizer.l"), ["learning.optimizer.lr="])
        self.assertEqual(complete("xor.yaml", "--set", "learning.rule", "="), ["gle", "bp", "eprop", "bptt", "adjoint"])
        self.assertEqual(complete("xor.yaml", "--set", "learning.rule", "=", "bpt"), ["bptt"])
        self.assertEqual(complete("lagline.yaml", "--variant", "b"), ["bp", "bptt_tw4", "bptt_tw2", "bptt_tw1"])
        self.assertEqual(complete("xor.yaml", "--jobs", ""), [])
        self.assertNotIn("README.md", complete(""))

    @unittest.skipUnless(shutil.which("zsh"), "there is no zsh")
    def test_zsh_reads_its_own(self):
        done = subprocess.run(["zsh", "-n", ZSH], capture_output=True, check=False)
        self.assertEqual((done.returncode, done.stderr.decode()), (0, ""))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
