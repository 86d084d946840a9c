"""What a config, a variant, a sweep and --set give is used or refused; configs through pipes and in folders that move.

The program is the one that GLESIM names.

Standard library only.
"""

import re
import shutil
import subprocess
import time
import unittest

from case import CONFIGS, GLESIM, PATIENCE, Case, load

CONFIG = """glesim: 1
name: small
dt: 0.1
dataset: {type: xor}
network:
  input: 2
  layers:
    - {name: hidden, neurons: {count: 2, tau_m: 1.0, tau_r: 0.5}, activation: tanh}
    - {name: readout, neurons: {count: 2, tau_m: 1.0, tau_r: 1.0}}
learning: {loss: cross_entropy}
training: {epochs: 0, batch_size: 4}
"""


class Configs(Case):
    def config(self, text="", name="small.yaml"):
        return self.write(name, CONFIG + text)

    def points(self, text, *args, output="out"):
        """The reports of a sweep by their folders."""
        self.run_glesim(self.config(text), "--output", output, *args)
        return {path.parent.parent.name: load(path) for path in (self.folder / output).glob("*/seed_0/metrics.json")}

    def refused(self, text, *args, code=2):
        return self.run_glesim("--check", self.config(text).name, *args, code=code).err


class Sweeps(Configs):
    def test_what_is_above_comes_before_what_is_below(self):
        keys = ["learning.optimizer.lr: [0.1, 0.2]", "learning.optimizer: [adam, sgd]"]
        for name, order in (("as_in_file", keys), ("turned", keys[::-1])):
            runs = self.points("sweep:\n" + "".join(f"  {key}\n" for key in order), output=name)
            self.assertEqual(sorted((r["config"]["learning"]["optimizer"]["type"],
                                     r["config"]["learning"]["optimizer"]["lr"]) for r in runs.values()),
                             [("adam", 0.1), ("adam", 0.2), ("sgd", 0.1), ("sgd", 0.2)])
            for r in runs.values():
                self.assertEqual(r["sweep"]["learning.optimizer.lr"], r["config"]["learning"]["optimizer"]["lr"])

    def test_so_it_is_in_a_variant_and_in_list_items(self):
        runs = self.points("variants:\n  a: {'network.layers[0].neurons.tau_r': 2.0, "
                           "'network.layers[0]': {name: hidden, neurons: {count: 3, tau_m: 1.0, tau_r: 1.0}}}\n")
        self.assertEqual(runs["a"]["config"]["network"]["layers"][0]["neurons"]["tau_r"], 2.0)
        self.assertEqual(runs["a"]["config"]["network"]["layers"][0]["neurons"]["count"], 3)

    def test_an_optimizer_that_is_not_written_or_a_name_alone_can_be_swept_below(self):
        sweep = "sweep: {learning.optimizer.lr: [0.1, 0.2]}\n"
        for args, kind in (((), "adam"), (("--set", "learning.optimizer=sgd"), "sgd")):
            runs = self.points(sweep, *args, output=kind)
            self.assertEqual(sorted(runs), ["lr=0.1", "lr=0.2"])
            for label, run in runs.items():
                self.assertEqual(run["config"]["learning"]["optimizer"]["type"], kind)
                self.assertEqual(f"lr={run['config']['learning']['optimizer']['lr']}", label)

    def test_each_value_has_a_folder_of_its_own_lists_too(self):
        runs = self.points('sweep: {"network.layers[0].neurons.tau_m": [1, [1.0, 2.0], [2.0, 1.0]]}\n')
        self.assertEqual({k: r["config"]["network"]["layers"][0]["neurons"]["tau_m"] for k, r in runs.items()},
                         {"tau_m=1": 1, "tau_m=_1": [1.0, 2.0], "tau_m=_2": [2.0, 1.0]})

    def test_whoever_would_lose_is_told(self):
        sweep = "sweep: {learning.beta: [1, 2]}\n"
        self.assertEqual(self.refused(sweep, "--set", "learning.beta=3"),
                         "small.yaml:12:9: learning.beta: set here, and by --set learning.beta=3: one of the two would "
                         "be lost\n")
        self.assertEqual(self.refused(sweep + "variants: {a: {learning.beta: 3}}\n"),
                         "small.yaml:12:9: learning.beta: set here, and by the variant 'a' (line 13): one of the two "
                         "would be lost\n")
        self.assertIn("--seeds: seed: set here, and by --set seed=3",
                      self.run_glesim(self.config(), "--set", "seed=3", "--seeds", "0-1", code=2).err)
        self.assertIn("small.yaml:12:16: seed: set here, and by --seeds",
                      self.run_glesim(self.config("variants: {a: {seed: 3}}\n").name, "--seeds", "0-1", code=2).err)
        self.assertFalse((self.folder / "results").exists())

    def test_the_command_has_the_last_word_over_variants(self):
        runs = self.points("variants: {a: {learning.beta: 3}, b: {learning.gamma: 1}}\n", "--set", "learning.beta=2")
        self.assertEqual({r["config"]["learning"]["beta"] for r in runs.values()}, {2})


class Values(Configs):
    def test_a_text_is_taken_whole(self):
        self.run_glesim(self.config(), "--set", "description=take #2", "--output", "out")
        self.assertEqual(load(self.folder / "out/seed_0/metrics.json")["config"]["description"], "take #2")
        self.assertIn("stands behind the value", self.refused("", "--set", 'description="take" #2'))
        self.assertIn("seed: a whole number is wanted, not '3 # a'", self.refused("", "--set", "seed=3 # a"))

    def test_the_command_line_has_no_lines(self):
        self.assertEqual(self.refused("", "--set", "learning.beta=x"),
                         "--set learning.beta=x: learning.beta: a number is wanted, not 'x'\n")

    def test_names_that_are_nearly_right(self):
        for given, meant in (("Seed=3", "'seed'"), ("learning.lr=1", "'learning.optimizer.lr'"),
                             ("Network.layers[0].activation=tanh", "'network'"),
                             ("network.Layers[0].activation=tanh", "'layers'"),
                             ("network.layers[0].tau_r=1", "'network.layers[0].neurons.tau_r'"),
                             ("learning.optimizer.type=ADAM", "'adam'")):
            self.assertIn(f"(did you mean {meant}", self.refused("", "--set", given))
        self.assertIn("b: no such variant (did you mean 'B'?)",
                      self.refused("variants: {B: {}}\n", "--variant", "b"))
        self.assertIn("opencl runs on GPUs of any vendor", self.refused("", "--set", "compute.backend=gpu"))

    def test_the_resolved_config_is_the_same_for_every_reader(self):
        self.run_glesim(self.config(), "--set", "seed=010", "--set", "learning.optimizer.lr=1e-2",
                        "--set", "learning.beta=1E1")
        text = (self.folder / "results/small/seed_10/config.yaml").read_text()
        self.assertIn("\nseed: 10\n", text)
        self.assertIn(" lr: 1.0e-2\n", text)
        self.assertIn(" beta: 1.0e+1\n", text)
        whole, real = r"0|[-+]?[1-9][0-9]*", r"[-+]?[0-9]+\.[0-9]+(e[-+][0-9]+)?" # YAML 1.1 and 1.2 read these alike
        for value in re.findall(r": ([-+.0-9]\S*)$", text, re.M):
            self.assertRegex(value, f"^({whole}|{real})$")

    def test_notes_at_the_top_stay_out_of_the_resolved_config(self):
        self.run_glesim(self.config("x-note: {a: 1}\n"), "--output", "out")
        self.assertNotIn("x-note", (self.folder / "out/seed_0/config.yaml").read_text())

    def test_the_cost_of_variants_is_linear(self):
        def seconds(n):
            config = self.config("variants:\n" + "".join(f"  v{i}: {{learning.beta: {i + 1}}}\n" for i in range(n)))
            start = time.monotonic()
            self.run_glesim("--check", config)
            return time.monotonic() - start
        few = min(seconds(500) for _ in range(3))
        self.assertLess(min(seconds(4000) for _ in range(3)), 24 * few) # 8 times; its square would be 64


class Places(Configs):
    def through_a_pipe(self, text, *args):
        done = subprocess.run([GLESIM, "/dev/stdin", *args], cwd=self.folder, input=text.encode(), timeout=PATIENCE,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        return done.stdout.decode()

    def test_a_config_comes_through_a_pipe(self):
        many = CONFIG + "variants: {a: {}, b: {learning.gamma: 0.5}}\nsweep: {learning.beta: [1, 2]}\n"
        self.assertEqual(self.through_a_pipe(CONFIG, "--check"), "/dev/stdin: ok\n")
        self.assertEqual(self.through_a_pipe(many, "--check"), "/dev/stdin: ok\n")
        self.through_a_pipe(many, "--seeds", "0-1", "--output", "piped")
        self.run_glesim(self.write("many.yaml", many), "--seeds", "0-1", "--output", "read")
        for one in ("piped", "read"):
            self.assertEqual(len(list((self.folder / one).glob("*/*/seed_*/config.yaml"))), 8)
        for path in (self.folder / "piped").glob("*/*/seed_*/config.yaml"):
            self.assertEqual(path.read_bytes(),
                             (self.folder / "read" / path.relative_to(self.folder / "piped")).read_bytes())

    def test_the_table_of_configs_has_all_of_them(self):
        table = (CONFIGS / "README.md").read_text(encoding="utf-8").partition("\n## ")[0]
        self.assertEqual(sorted(re.findall(r"^\| `(\S+)` \|", table, re.M)),
                         sorted(path.name for path in CONFIGS.glob("*.yaml")))

    def test_a_folder_can_be_moved(self):
        here, there = self.folder / "here", self.folder / "deep/down/there"
        here.mkdir()
        self.run_glesim(self.config(), "--output", "here/start")
        self.config("", "here/small.yaml").write_text(
            CONFIG.replace("  input: 2\n", "  input: 2\n  init: {file: start/seed_0/weights.npz}\n"))
        self.run_glesim("small.yaml", cwd=here)
        run = "results/small/seed_0"
        text = (here / run / "config.yaml").read_text()
        self.assertIn("file: ../../../start/seed_0/weights.npz\n", text)
        there.parent.mkdir(parents=True)
        shutil.move(here, there)
        self.assertIn("there already", self.run_glesim("small.yaml", "--seeds", "0", cwd=there).out)
        self.run_glesim("config.yaml", "--output", self.folder / "again", cwd=there / run)
        self.run_glesim(there / "small.yaml", "--output", self.folder / "once_more")
        self.assertEqual((self.folder / "again/seed_0/weights.npz").read_bytes(),
                         (there / run / "weights.npz").read_bytes())
        self.assertEqual(load(self.folder / "once_more/seed_0/metrics.json")["config_sha256"],
                         load(there / run / "metrics.json")["config_sha256"])


if __name__ == "__main__":
    unittest.main()
