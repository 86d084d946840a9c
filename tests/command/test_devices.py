"""Where a run goes: which devices there are, which one a config takes, and what is said of those that are missing. The
program is the one that GLESIM names. Tests that need a device are left out where OpenCL has none. Standard library
only.
"""

import os
import pathlib
import re
import signal
import subprocess
import tempfile
import time
import unittest
import unittest.mock

from case import Case, CONFIGS, GLESIM, PATIENCE, SMALL_CONFIG, XOR, floats, load
from test_resume import Stopped, TEACHER, kill

SHORT = ["--set", "training.epochs=1", "--quiet"]
LONG = ["--set", "training.epochs=1000000"]
ON_OPENCL = ["--set", "compute.backend=opencl"]
CONFIG = XOR.read_text(encoding="utf-8") + "compute: {backend: opencl}\n"
LINE = CONFIG.count("\n")
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or tempfile.mkdtemp(prefix="glesim-cache-")).resolve()


def listed(env=None):
    """The section of --list on devices, line by line."""
    done = subprocess.run([GLESIM, "--list"], capture_output=True, text=True, check=True, env=env)
    return done.stdout.partition("\ndevice\n")[2].splitlines()


def devices():
    """[(name, is it a GPU), ...] of this machine."""
    found = [re.fullmatch(r"  (\d+) +(.*): (no GPU|a GPU), \S+ GB; .*, driver .*", line) for line in listed()]
    assert [int(line[1]) for line in found if line] == [i for i, line in enumerate(found) if line]
    return [(line[2], line[3] == "a GPU") for line in found if line]


DEVICES = devices()
NEEDS_DEVICE = unittest.skipUnless(DEVICES, "OpenCL has no device here")


def numbers(entry, where=""):
    """[(where it is, number), ...] of a part of a report, in order, without times."""
    if isinstance(entry, dict):
        return [found for key in entry if "seconds" not in key for found in numbers(entry[key], f"{where}.{key}")]
    if isinstance(entry, list):
        return [found for i, part in enumerate(entry) for found in numbers(part, f"{where}[{i}]")]
    return [(where, entry)] if isinstance(entry, (int, float)) else []


class Devices(Case):
    def setUp(self):
        super().setUp()
        (self.folder / "no_drivers").mkdir()
        (self.folder / "no_loader").mkdir()
        (self.folder / "no_loader/libOpenCL.so.1").touch()
        # Loaders look for drivers in one place or the other.
        self.no_drivers = {"OCL_ICD_VENDORS": str(self.folder / "no_drivers"), "OCL_ICD_FILENAMES": ""}
        self.no_loader = {"LD_LIBRARY_PATH": str(self.folder / "no_loader")}
        # Programs are compiled once for all tests.
        for name in ("XDG_CACHE_HOME", "POCL_CACHE_DIR"):
            self.enterContext(unittest.mock.patch.dict(os.environ, {name: str(CACHE)}))

    def provenance(self, output, seed=1):
        return load(self.run_of(output, seed) / "metrics.json")["provenance"]


class Missing(Devices):
    """A machine without drivers, or without OpenCL's loader."""

    def without(self):
        absent = r"this glesim was built without OpenCL: .*"
        yield self.no_drivers, rf"(no OpenCL driver is installed: .* \(CL_PLATFORM_NOT_FOUND_KHR\)|{absent})"
        yield self.no_loader, rf"(no OpenCL on this machine: .*libOpenCL\.so\.1.*|{absent})"

    def test_list_says_why_there_is_none(self):
        for env, why in self.without():
            lines = listed({**os.environ, **env})
            self.assertEqual(len(lines), 1, lines)
            self.assertRegex(lines[0], rf"^  none: {why}$")

    def test_opencl_says_what_is_missing(self):
        config = self.write("xor.yaml", CONFIG)
        for env, why in self.without():
            err = self.run_glesim(config, *SHORT, env=env, code=5).err
            self.assertRegex(err, rf"^{config}:{LINE}:20: compute\.backend: {why}\n$")
            self.assertFalse((self.folder / "results/xor/seed_1/metrics.json").exists())

    def test_opencl_says_it_of_runs_side_by_side(self):
        config = self.write("xor.yaml", CONFIG)
        err = self.run_glesim(config, *SHORT, "--seeds", "1-2", env=self.no_drivers, code=5).err
        self.assertEqual(len(re.findall(rf"xor\.yaml:{LINE}:20: compute\.backend: ", err)), 2, err)

    def test_auto_goes_on_the_processors_without_a_word(self):
        for i, (env, _) in enumerate(self.without()):
            self.assertEqual(self.run_glesim(XOR, *SHORT, "--output", f"out{i}", env=env).err, "")
            made = self.provenance(f"out{i}")
            self.assertEqual((made["backend"], made["device"]), ("cpu", None))

    def test_auto_does_not_drop_a_device_that_is_named(self):
        err = self.run_glesim(XOR, *SHORT, "--set", "compute.device=H100", env=self.no_drivers, code=5).err
        self.assertRegex(err, r"^--set compute\.device=H100: compute\.device: .*OpenCL")

    def test_other_runs_of_the_command_are_made(self):
        config = self.write("xor.yaml", CONFIG)
        done = self.run_glesim(config, XOR, *SHORT, "--force", env=self.no_drivers, code=5)
        self.assertEqual(self.provenance("results/xor")["backend"], "cpu", done.err)


@unittest.skipUnless("GLE_FAKE_OPENCL" in os.environ, "no fake loader was built")
class Useless(Devices):
    """A loader that is too old, and drivers whose device cannot be used."""

    def in_place(self, variable, fake=""):
        folder = self.folder / f"{variable}{fake}"
        folder.mkdir(exist_ok=True)
        (folder / "libOpenCL.so.1").symlink_to(os.environ[variable])
        return {"LD_LIBRARY_PATH": str(folder), "FAKE_OPENCL": fake}

    def cases(self):
        yield (self.in_place("GLE_OLD_OPENCL"),
               "OpenCL 1.2 is needed, and libOpenCL.so.1 is older: it has no clEnqueueFillBuffer")
        yield (self.in_place("GLE_FAKE_OPENCL", "none"),
               "the OpenCL driver that is installed finds no device (CL_DEVICE_NOT_FOUND)")
        yield (self.in_place("GLE_FAKE_OPENCL", "old"),
               "no OpenCL device can be used: 'Fake card' lacks OpenCL 1.2 (CL_DEVICE_NOT_AVAILABLE)")

    def test_each_is_told(self):
        if "built without OpenCL" in "".join(listed()):
            self.skipTest("glesim was built without OpenCL")
        for i, (env, why) in enumerate(self.cases()):
            self.assertEqual(listed({**os.environ, **env}), [f"  none: {why}"])
            self.assertEqual(self.run_glesim(XOR, *SHORT, *ON_OPENCL, env=env, code=5).err,
                             f"--set compute.backend=opencl: compute.backend: {why}\n")
            self.assertEqual(self.run_glesim(XOR, *SHORT, "--output", f"out{i}", env=env).err, "")
            self.assertEqual(self.provenance(f"out{i}")["backend"], "cpu")

    def test_a_gpu_that_cannot_be_opened(self):
        env = self.in_place("GLE_FAKE_OPENCL", "busy")
        why = "the device 'Fake card' cannot be opened (CL_OUT_OF_RESOURCES)"
        if "built without OpenCL" in "".join(listed()):
            self.skipTest("glesim was built without OpenCL")
        self.assertEqual(self.run_glesim(XOR, *SHORT, *ON_OPENCL, env=env, code=5).err,
                         f"--set compute.backend=opencl: compute.backend: {why}\n")
        self.assertEqual(self.run_glesim(XOR, *SHORT, "--set", "compute.device=fake", env=env, code=5).err,
                         f"--set compute.device=fake: compute.device: {why}\n") # auto takes a GPU that is named
        self.assertEqual(self.run_glesim(XOR, *SHORT, "--output", "out", env=env).err, "")
        self.assertEqual(self.provenance("out")["device"], None)


class There(Devices):
    @NEEDS_DEVICE
    def test_the_report_names_the_device(self):
        self.run_glesim(XOR, *SHORT, *ON_OPENCL, "--output", "out")
        made = self.provenance("out")
        self.assertEqual(made["backend"], "opencl")
        self.assertEqual(made["device"]["name"], DEVICES[0][0])
        self.assertTrue(made["device"]["driver"] and made["device"]["platform"])

    @NEEDS_DEVICE
    def test_a_device_goes_by_number_or_by_a_part_of_its_name(self):
        for i, (name, _) in enumerate(DEVICES):
            first = [other for other, _ in DEVICES if name.upper() in other.upper()][0]
            for word, wanted in ((str(i), name), (f'"{name.upper()}"', first)):
                self.run_glesim(XOR, *SHORT, *ON_OPENCL, "--set", f"compute.device={word}", "--output", "out",
                                "--force")
                self.assertEqual(self.provenance("out")["device"]["name"], wanted)

    @NEEDS_DEVICE
    def test_an_unknown_device_is_answered_with_those_that_there_are(self):
        config = self.write("xor.yaml", CONFIG.replace("opencl}", "opencl, device: Voodoo 2}"))
        err = self.run_glesim(config, *SHORT, code=5).err
        self.assertRegex(err, rf"xor\.yaml:{LINE}:36: compute\.device: no device has the number or the name 'Voodoo "
                              rf"2'; there {'is' if len(DEVICES) == 1 else 'are'} 0 '")
        for i, (name, _) in enumerate(DEVICES):
            self.assertIn(f"{i} '{name}'", err)
        self.assertIn(f"'{len(DEVICES)}'", self.run_glesim(XOR, *SHORT, *ON_OPENCL, "--set",
                                                           f"compute.device={len(DEVICES)}", code=5).err)

    @NEEDS_DEVICE
    def test_auto_takes_gpus_alone(self):
        self.run_glesim(XOR, *SHORT, "--output", "out")
        self.assertEqual(self.provenance("out")["backend"], "cpu")
        for i, (name, gpu) in enumerate(DEVICES):
            done = self.run_glesim(XOR, *SHORT, "--set", f"compute.device={i}", "--output", "out", "--force",
                                   code=0 if gpu else 5)
            if not gpu:
                self.assertIn(f"compute.device: '{name}' is no GPU", done.err)

    @NEEDS_DEVICE
    def test_runs_side_by_side_open_it_each(self):
        self.run_glesim(XOR, *SHORT, *ON_OPENCL, "--output", "out", "--seeds", "1-4", "--jobs", "2")
        for seed in range(1, 5):
            self.assertEqual(self.provenance("out", seed)["device"]["name"], DEVICES[0][0])

    @NEEDS_DEVICE
    def test_variants_may_take_different_ones(self):
        config = self.write("xor.yaml", XOR.read_text(encoding="utf-8") + "variants: {a: {compute.backend: opencl}, "
                            "b: {compute.backend: cpu}, c: {compute: {backend: opencl, device: 0}}}\n")
        self.run_glesim(config, *SHORT, "--output", "out")
        self.assertEqual([self.provenance(f"out/{name}")["backend"] for name in "abc"], ["opencl", "cpu", "opencl"])

    @NEEDS_DEVICE
    def test_signals_end_runs_on_a_device(self):
        for number in (signal.SIGINT, signal.SIGUSR1, signal.SIGXCPU):
            run = self.start(XOR, *LONG, *ON_OPENCL, "--output", number.name)
            report, end = self.run_of(number.name) / "metrics.json", time.monotonic() + PATIENCE
            while not report.exists() and run.poll() is None and time.monotonic() < end:
                time.sleep(0.02)
            run.send_signal(number)
            _, err = run.communicate(timeout=PATIENCE)
            self.assertEqual(run.returncode, 128 + number, err)
            self.assertEqual(load(report)["status"], "interrupted")

    def stopped(self, *args):
        return self.interrupted(XOR, *LONG, "--quiet", *args)

    @NEEDS_DEVICE
    def test_auto_does_not_move_a_run_that_is_resumed(self):
        self.stopped(*ON_OPENCL)
        args = [XOR, *LONG, "--output", "out", "--quiet", "--resume"]
        err = self.run_glesim(*args, code=4).err
        self.assertRegex(err, r"^out/seed_1/checkpoint\.npz: maker: another backend or device: opencl, .* there, \w+, .* "
                              r"here; --anywhere goes on all the same, to bits that are those of neither\n$")
        err = self.run_glesim(*args, "--set", "compute.backend=cpu", code=4).err
        self.assertIn("compute.backend is opencl there, cpu here", err)
        self.assertEqual(self.stopped("--resume", *ON_OPENCL), "")
        self.assertEqual(self.provenance("out")["earlier"], [])

    @NEEDS_DEVICE
    def test_a_run_of_auto_is_taken_over_when_that_is_asked_for(self):
        self.stopped()
        err = self.run_glesim(XOR, *LONG, "--output", "out", "--quiet", "--resume", *ON_OPENCL, code=4).err
        self.assertIn("maker: another backend or device: ", err)
        err = self.stopped("--resume", "--anywhere", *ON_OPENCL)
        self.assertRegex(err, r"another device, instruction set or program goes on with it, so that its bits are those "
                              r"of neither: opencl, .*; before: (base|avx)")
        made = self.provenance("out")
        self.assertEqual((made["backend"], len(made["earlier"])), ("opencl", 1))

    @NEEDS_DEVICE
    def test_a_dry_run_is_measured_there(self):
        self.assertIn(f"measured on {DEVICES[0][0]}\n", self.run_glesim(XOR, "--dry-run", *ON_OPENCL).out)
        done = self.run_glesim(XOR, "--dry-run", "--set", "compute.backend=cpu")
        self.assertRegex(done.out, r"measured on \d+ thread")

    @NEEDS_DEVICE
    def test_a_device_makes_no_other_run(self):
        args = [XOR, "--set", "training.epochs=1", "--output", "out", "--seeds", "1-2"]
        self.run_glesim(*args, *ON_OPENCL)
        for more in (["--set", "compute.backend=auto"], [*ON_OPENCL, "--set", "compute.device=0"]):
            self.assertEqual(self.run_glesim(*args, *more).out.count("there already"), 2, more)
        err = self.run_glesim(*args, "--set", "compute.backend=cpu", code=3).err
        self.assertIn("compute.backend is opencl there, cpu here", err)


class Words(Devices):
    def test_a_device_under_cpu_is_told_to_have_no_effect(self):
        done = self.run_glesim(XOR, *SHORT[:2], "--set", "compute={backend: cpu, device: 1}", "--output", "out")
        self.assertIn("compute.device: has no effect: the backend cpu runs on this machine's processors", done.err)
        self.assertEqual(self.provenance("out")["backend"], "cpu")

    def test_names_of_makers_are_answered_with_advice(self):
        for name in ("cuda", "gpu", "nvidia", "metal", "rocm", "intel"):
            err = self.run_glesim(XOR, "--check", "--set", f"compute.backend={name}", code=2).err
            self.assertIn(f"compute.backend: '{name}' is no backend: opencl runs on GPUs of any vendor", err)


class Runs(Devices):
    """Whole runs on a device, beside those on the processors."""

    SMALL = {
        "epochs": [XOR, "--set", "training.epochs=5"],
        "bp, a validation set": [CONFIGS / "yinyang.yaml", "--set", "training.epochs=1", "--set", "dataset.train=200",
                                 "--set", "dataset.test=100", "--set", "training.validation=0.2", "--set",
                                 "learning.rule=bp"],
        "bptt": [XOR, "--set", "training.epochs=5", "--set", "learning.rule=bptt", "--set", "learning.window=1.0"],
        "adjoint": [XOR, "--set", "training.epochs=5", "--set", "learning.rule=adjoint", "--set", "learning.window=1.0"],
    }
    # Losses by epochs, and weights: rounding goes through Adam's quotients of small gradients.
    LOSS, WEIGHT = 1e-3, 5e-3

    def both(self, name, *args):
        """The runs of a config on the processors and on the device."""
        runs = []
        for backend in ("cpu", "opencl"):
            self.run_glesim(*args, "--quiet", "--set", f"compute.backend={backend}", "--output", f"{name}_{backend}")
            runs.append(kill.folder_of_run(self.folder / f"{name}_{backend}"))
        return runs

    def assert_alike(self, runs):
        host, device = (load(run / "metrics.json") for run in runs)
        self.assertEqual((host["status"], device["status"]), ("completed", "completed"))
        for key in ("epochs", "phases"):
            self.assertEqual(len(host[key]), len(device[key]))
            for one, other in zip(host[key], device[key]):
                for where, loss in numbers(one):
                    if where.endswith("loss"):
                        self.assertLess(abs(loss - dict(numbers(other))[where]), self.LOSS * (1 + abs(loss)), where)
        for kind in ("weights.npz", "recording.npz"):
            if (runs[0] / kind).exists():
                mine, other = (floats(run / kind) for run in runs)
                self.assertEqual(mine.keys(), other.keys())
                for name, values in mine.items():
                    most = max(map(abs, values), default=0)
                    off = max((abs(a - b) for a, b in zip(values, other[name])), default=0)
                    self.assertEqual(len(values), len(other[name]))
                    self.assertLess(off, self.WEIGHT * (1 + most), (kind, name))

    @NEEDS_DEVICE
    def test_training_by_epochs(self):
        for name, args in self.SMALL.items():
            with self.subTest(name):
                self.assert_alike(self.both(name, *args))

    @NEEDS_DEVICE
    def test_phases_with_a_teacher_records_and_comparisons(self):
        config = self.write("teacher.yaml", TEACHER)
        runs = self.both("teacher", config)
        self.assert_alike(runs)
        host, device = (load(run / "metrics.json")["diagnostics"] for run in runs)
        self.assertEqual(len(numbers(host)), len(numbers(device)))
        for (where, one), (_, other) in zip(numbers(host), numbers(device)):
            self.assertLess(abs(one - other), self.LOSS * 10 * (1 + abs(one)), where)

    @NEEDS_DEVICE
    def test_divergence_names_layer_and_step(self):
        said = []
        for backend in ("cpu", "opencl"):
            err = self.run_glesim(XOR, *SHORT, "--set", "learning={loss: mse, gamma: 50, optimizer: {type: sgd, lr: 1e6}}",
                                  "--set", "network.layers[0].activation=linear", "--set", f"compute.backend={backend}",
                                  "--output", backend, code=6).err
            self.assertEqual(err.count("\n"), 1, err)
            self.assertIn("in epoch 1", err)
            said.append(err)
            self.assertEqual(load(self.run_of(backend) / "metrics.json")["status"], "diverged")
        layer, step = zip(*(re.search(r"layer '(\w+)'.*step (\d+)", text).groups() for text in said))
        self.assertEqual(layer[0], layer[1])
        self.assertLess(abs(int(step[0]) - int(step[1])), 3, said)

    @NEEDS_DEVICE
    def test_many_seeds_give_each_what_it_has_alone(self):
        args = [XOR, *SHORT, *ON_OPENCL]
        for seed in range(4):
            self.run_glesim(*args, "--seed", seed, "--output", "alone")
        for jobs in ([], ["--jobs", "3"], ["--jobs", "1"]):
            self.run_glesim(*args, "--seeds", "0-3", *jobs, "--output", "many", "--force")
            for seed in range(4):
                self.assertIsNone(kill.difference(self.run_of("alone", seed), self.run_of("many", seed)))

    MANY = SMALL_CONFIG.replace("epochs: 2", "epochs: 3") + """compute: {backend: opencl}
variants:
  usual: {}
  fast: {learning.optimizer.lr: 0.05, training.epochs: 1}
  after: {training.evaluate: {train: all}}
  wide: {"network.layers[0].neurons.count": 20}
  window: {learning: {rule: bptt, window: 0.5, loss: cross_entropy, optimizer: {type: sgd, lr: 0.1}}}
  wild: {learning: {loss: mse, gamma: 50, optimizer: {type: sgd, lr: 1e6}}, "network.layers[0].activation": linear}
  host: {compute.backend: cpu}
"""

    @NEEDS_DEVICE
    def test_runs_of_all_kinds_go_side_by_side(self):
        config = self.write("many.yaml", self.MANY)
        names = re.findall(r"^  (\w+): ", self.MANY.partition("variants:")[2], re.M)
        for name in names:
            for seed in (1, 2):
                self.run_glesim(config, "--variant", name, "--seed", seed, "--output", "alone", "--quiet",
                                code=6 if name == "wild" else 0)
        done = self.run_glesim(config, "--seeds", "1,2", "--output", "many", code=6)
        for name in names:
            for seed in (1, 2):
                one, other = (self.run_of(f"{where}/{name}", seed) for where in ("alone", "many"))
                self.assertIsNone(kill.difference(one, other))
        self.assertEqual(done.err.count("NaN or Inf in layer"), 2)
        self.assertEqual(done.out.count(": completed after epoch"), 2 * len(names) - 2)
        self.assertEqual(load(self.folder / "many/fast/summary.json")["completed"], 2)
        self.assertEqual(load(self.folder / "many/wild/summary.json")["completed"], 0)

    @NEEDS_DEVICE
    def test_a_run_that_cannot_be_made_leaves_the_others(self):
        config = self.write("many.yaml", self.MANY)
        (self.folder / "many/usual").mkdir(parents=True)
        (self.folder / "many/usual/seed_2").touch() # a file where its folder would be
        done = self.run_glesim(config, "--variant", "usual", "--seeds", "1-3", "--output", "many", "--force", code=3)
        self.assertIn("usual seed 2: ", done.err)
        for seed in (1, 3):
            self.assertEqual(load(self.run_of("many/usual", seed) / "metrics.json")["status"], "completed")


class Broken(Stopped):
    """Runs on a device that are broken off and gone on with."""

    setUp = Stopped.setUp

    @NEEDS_DEVICE
    def test_a_run_that_was_killed_ends_with_the_same_bits(self):
        self.check(XOR, "--set", "training.epochs=30", "--set", "record={every: 700, variables: [u]}", *ON_OPENCL)

    @NEEDS_DEVICE
    def test_phases_that_were_killed_end_with_the_same_bits(self):
        self.check(self.write("teacher.yaml", TEACHER), *ON_OPENCL, kills=2)

    def begin_many(self):
        """Three runs under way, with a checkpoint each."""
        args = [XOR, *ON_OPENCL, "--set", "training.epochs=40", "--set", "checkpoint.minutes=1e-6", "--seeds", "1-3"]
        process = self.start(*args, "--output", "many")
        end = time.monotonic() + PATIENCE
        while (len(list(self.folder.glob("many/*/checkpoint.npz"))) < 3 and process.poll() is None and
               time.monotonic() < end):
            time.sleep(0.005)
        return args, process

    def assert_many_go_on(self, args):
        self.run_glesim(*args, "--output", "whole", "--quiet")
        self.run_glesim(*args, "--output", "many", "--quiet", "--resume")
        for seed in (1, 2, 3):
            self.assertIsNone(kill.difference(self.run_of("whole", seed), self.run_of("many", seed)))

    @NEEDS_DEVICE
    def test_a_signal_ends_runs_side_by_side(self):
        args, process = self.begin_many()
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, 143, err)
        for seed in (1, 2, 3):
            self.assertEqual(load(self.run_of("many", seed) / "metrics.json")["status"], "interrupted")
        self.assert_many_go_on(args)

    @NEEDS_DEVICE
    def test_a_process_that_is_killed_ends_runs_side_by_side(self):
        args, process = self.begin_many()
        crew = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="ascii").split()
        self.assertEqual(len(crew), 1)
        os.kill(int(crew[0]), signal.SIGKILL)
        _, err = process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, 137, err)
        self.assertEqual(err.count("killed by signal 9"), 3)
        self.assert_many_go_on(args)

    def break_off(self, backend, *args):
        self.stop(XOR, *LONG, "--output", "out", "--set", f"compute.backend={backend}", *args, number=signal.SIGTERM)
        self.assertEqual(load(self.dir / "metrics.json")["status"], "interrupted")
        self.assertTrue((self.dir / "checkpoint.npz").exists())

    def refused(self, backend, *args):
        return self.run_glesim(XOR, *LONG, "--output", "out", "--set", f"compute.backend={backend}", "--resume", "--quiet",
                               *args, code=4).err

    @NEEDS_DEVICE
    def test_another_backend_is_refused_unless_it_is_asked_for(self):
        for i, (first, then) in enumerate((("cpu", "opencl"), ("opencl", "cpu"))):
            with self.subTest(first=first):
                self.break_off(first, "--force")
                before = (self.dir / "checkpoint.npz").read_bytes()
                self.assertRegex(self.refused(then), rf"checkpoint\.npz: config: another one: compute\.backend is {first} "
                                                     rf"there, {then} here; --anywhere goes on all the same\n$")
                self.assertEqual((self.dir / "checkpoint.npz").read_bytes(), before)
                self.assertIn("--anywhere goes on with runs of another backend", self.refused(then, "--seeds", "1"))
                process = self.begin(XOR, *LONG, "--output", "out", "--set", f"compute.backend={then}", "--resume",
                                     "--anywhere")
                process.send_signal(signal.SIGTERM)
                said = process.communicate(timeout=PATIENCE)[1]
                self.assertIn("goes on with it, so that its bits are those of neither", said)
                made = load(self.dir / "metrics.json")["provenance"]
                self.assertEqual((made["backend"], len(made["earlier"])), (then, 1), i)

    def test_anywhere_alone_means_nothing(self):
        self.assertIn("--anywhere goes with --resume", self.run_glesim(XOR, "--anywhere", code=2).err)


if __name__ == "__main__":
    unittest.main()
