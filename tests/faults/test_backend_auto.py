"""What the backend `auto` takes where there is a GPU, what is said of a device's memory, and how often runs wait. The
library of failing_opencl.c says of the devices of this machine that they are GPUs, and has them seem fast or slow.

GLESIM names the program, GLE_FAULTY_OPENCL that library. Standard library only.
"""

import os
import pathlib
import re
import sys
import unittest
import unittest.mock

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from test_device_faults import FAULTY, HAS_DEVICE, LOADER # pylint: disable=wrong-import-position
from case import CONFIGS, Case, XOR, load # pylint: disable=wrong-import-position

# So wide that a step costs more than calls do, which take no time on a fast device.
WIDE = [XOR, "--set", "network.layers[0].neurons.count=300", "--set", "training.batch_size=20"]
SHORT = [*WIDE, "--set", "training.epochs=2"]
LONG = [*WIDE, "--set", "training.epochs=1000000"]
GPU = {"GLE_OPENCL_SAYS": "gpu 0 0"}
FAST = {**GPU, "LD_PRELOAD": str(FAULTY), "GLE_OPENCL_IN_NO_TIME": "1"}
MEASURED = r"glesim: compute\.backend auto: a learning step takes \S+ us on .* and \S+ us on the processors; the run "


class InPlace(Case):
    def setUp(self):
        super().setUp()
        self.enterContext(unittest.mock.patch.dict(os.environ, {
            "GLE_OPENCL": LOADER or "", "LD_LIBRARY_PATH": str(FAULTY.parent)}))

    def provenance(self, output, seed=1):
        return load(self.run_of(output, seed) / "metrics.json")["provenance"]

    def weights(self, output, seed=1):
        return (self.run_of(output, seed) / "weights.npz").read_bytes()

    def on(self, backend, *args, output=None):
        """The weights of the run that a backend makes when it is asked for."""
        self.run_glesim(*args, "--set", f"compute.backend={backend}", "--output", output or backend, "--quiet")
        return self.weights(output or backend)


@unittest.skipUnless(HAS_DEVICE, "OpenCL has no device here")
class Auto(InPlace):
    def test_a_gpu_that_is_faster(self):
        said = self.run_glesim(*SHORT, "--output", "out", env=FAST).err
        self.assertRegex(said, MEASURED + "goes there\n")
        made = self.provenance("out")
        self.assertEqual((made["backend"], made["auto"]["gpu"], made["auto"]["unusable"]),
                         ("opencl", made["device"]["name"], None))
        self.assertLess(made["auto"]["microseconds_on_gpu"], made["auto"]["microseconds_on_processors"])
        self.assertEqual(self.weights("out"), self.on("opencl", *SHORT))

    def test_a_gpu_that_is_slower(self):
        args = [XOR, "--set", "training.epochs=2"] # steps of a microsecond
        said = self.run_glesim(*args, "--output", "out", env=GPU).err
        self.assertRegex(said, MEASURED + "stays on the processors\n")
        made = self.provenance("out")
        self.assertEqual((made["backend"], made["device"]), ("cpu", None))
        self.assertGreater(made["auto"]["microseconds_on_gpu"], made["auto"]["microseconds_on_processors"])
        self.assertEqual(self.weights("out"), self.on("cpu", *args))

    def test_rules_with_windows_are_measured(self):
        args = [*WIDE, "--set", "training.epochs=1", "--set", "dataset.repeat=100", "--set", "learning.rule=bptt", "--set",
                "learning.window=0.5", "--set", "record={every: 7, variables: [r]}"]
        self.assertRegex(self.run_glesim(*args, "--output", "out", env=FAST).err, MEASURED)
        self.assertEqual(self.weights("out"), self.on(self.provenance("out")["backend"], *args, output="asked for"))

    def test_a_device_that_is_named_is_measured_too(self):
        said = self.run_glesim(XOR, "--set", "training.epochs=2", "--set", "compute.device=0", "--output", "out",
                               env=GPU).err
        self.assertRegex(said, MEASURED + "stays on the processors\n")

    def test_without_a_gpu_nothing_is_said(self):
        self.assertNotIn("auto", self.run_glesim(XOR, "--set", "training.epochs=2", "--output", "out").err)
        self.assertIsNone(self.provenance("out")["auto"])

    def test_asked_for_nothing_is_measured(self):
        for backend in ("cpu", "opencl"):
            self.assertNotIn("auto", self.run_glesim(*SHORT, "--set", f"compute.backend={backend}", "--output", backend,
                                                     env=FAST).err)
            self.assertIsNone(self.provenance(backend)["auto"])

    def test_a_gpu_that_fails_is_left_alone(self):
        for i, fault in enumerate(("clBuildProgram 1+ -11", "clCreateContext 1+ -6", "clEnqueueReadBuffer 3+ -5")):
            env = {**FAST, "GLE_OPENCL_FAULT": fault}
            if "Build" in fault:
                env["XDG_CACHE_HOME"] = str(self.folder / "cache")
            said = self.run_glesim(*SHORT, "--output", f"out{i}", env=env).err
            self.assertRegex(said, r"compute\.backend auto: the run stays on the processors, since .* cannot be used: "
                                   r".* \(CL_\w+\)\n")
            made = self.provenance(f"out{i}")
            self.assertEqual(made["backend"], "cpu")
            self.assertRegex(made["auto"]["unusable"], r"\(CL_\w+\)$")
            self.assertIsNone(made["auto"]["microseconds_on_processors"])
            self.assertEqual(self.weights(f"out{i}"), self.on("cpu", *SHORT, "--force"))

    def test_runs_side_by_side_stay_on_the_processors(self):
        said = self.run_glesim(*SHORT, "--seeds", "1-2", "--output", "out", env=FAST).err
        self.assertNotIn("auto", said)
        for seed in (1, 2):
            made = self.provenance("out", seed)
            self.assertEqual((made["backend"], made["auto"]), ("cpu", None))

    def test_a_run_that_is_resumed_keeps_its_backend(self):
        for first, then, backend in ((FAST, GPU, "opencl"), ({}, FAST, "cpu")):
            self.interrupted(*LONG, "--force", env=first)
            self.assertEqual(self.provenance("out")["backend"], backend)
            for more in ([], ["--set", "compute.device=0"]):
                self.assertNotIn("auto", self.interrupted(*LONG, "--resume", *more, env=then))
                made = self.provenance("out")
                self.assertEqual((made["backend"], made["earlier"], made["auto"]), (backend, [], None))

    def test_a_run_whose_gpu_has_gone_is_refused(self):
        self.interrupted(*LONG, "--force", env=FAST)
        err = self.run_glesim(*LONG, "--output", "out", "--resume", code=4).err # its device is no GPU any more
        self.assertRegex(err, r"maker: another backend or device: opencl, .* there, ")


@unittest.skipUnless(HAS_DEVICE, "OpenCL has no device here")
class Memory(InPlace):
    ON_OPENCL = ["--set", "compute.backend=opencl"]
    TOO_LITTLE = {
        "gpu 100000 0": r"the network takes \S+ MiB of the device '.*', which has 0\.0954 MiB",
        "gpu 0 20000": r"the network has \S+ MiB of [\w ]+, and the device '.*' gives at most 0\.0191 MiB in one piece",
    }

    def test_a_network_that_does_not_fit_is_refused_before_anything_is_there(self):
        for says, why in self.TOO_LITTLE.items():
            for more in ([], ["--dry-run"]):
                err = self.run_glesim(*SHORT, *self.ON_OPENCL, *more, "--output", "out", env={"GLE_OPENCL_SAYS": says},
                                      code=5).err
                self.assertRegex(err, rf"^--set compute\.backend=opencl: compute\.backend: {why}\n$")
                self.assertFalse((self.folder / "out").exists())

    def test_auto_goes_on_without(self):
        for says, why in self.TOO_LITTLE.items():
            err = self.run_glesim(*SHORT, "--output", "out", "--force", env={**FAST, "GLE_OPENCL_SAYS": says}).err
            self.assertRegex(err, rf"the run stays on the processors, since .* cannot be used: {why}\n")
            self.assertRegex(self.provenance("out")["auto"]["unusable"], rf"^{why}$")

    def test_a_dry_run_tells_what_is_taken(self):
        def told(*args, env):
            found = re.search(r"  device memory     (\S+) MiB of (\d+) MiB on (.*); the largest piece has (\S+) MiB of "
                              r"[\w' ]+, of at most (\d+) MiB; room for (\d+) such runs side by side\n",
                              self.run_glesim(*args, "--dry-run", env=env).out)
            if found: # the memory, or the largest piece, is full with them
                fit = min(float(found[2]) / float(found[1]), float(found[5]) / float(found[4])) # but for shared tables
                self.assertAlmostEqual(int(found[6]) / fit, 1, delta=0.2)
                self.assertGreater(int(found[6]), 1)
            return found and float(found[1])
        says = {"GLE_OPENCL_SAYS": f"gpu {1 << 34} {1 << 32}"}
        small = told(*SHORT, env=says)
        self.assertGreater(small, 0)
        self.assertEqual(told(*SHORT, *self.ON_OPENCL, env=says), small)
        self.assertGreater(told(XOR, "--set", "network.layers[0].neurons.count=20000", env=says), small + 1)
        self.assertIsNone(told(*SHORT, "--set", "compute.backend=cpu", env=says))
        self.assertIsNone(told(*SHORT, env={})) # there is no GPU


@unittest.skipUnless(HAS_DEVICE, "OpenCL has no device here")
class Waiting(InPlace):
    def calls(self, steps):
        """How often a run by phases calls what."""
        path = self.folder / f"{steps}.counts"
        self.run_glesim(CONFIGS / "lagline.yaml", "--variant", "gle", "--quiet", "--output", steps, "--set",
                        "compute.backend=opencl", "--set", "record.every=10000", "--set",
                        f"training.phases=[{{duration: {steps / 100}}}]", env={"GLE_OPENCL_COUNTS": str(path)})
        return {line.split()[0]: int(line.split()[1]) for line in path.read_text(encoding="utf-8").splitlines()}

    def test_steps_of_phases_do_not_wait(self):
        """But for the losses, which come back with a few hundred steps."""
        few, many = self.calls(1000), self.calls(3000)
        self.assertGreaterEqual(many["clEnqueueNDRangeKernel"] - few["clEnqueueNDRangeKernel"], 2000)
        for name in ("clFinish", "clEnqueueReadBuffer", "clEnqueueWriteBuffer"):
            self.assertLess(many[name] - few[name], 200, name)


if __name__ == "__main__":
    unittest.main()
