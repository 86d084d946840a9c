"""Makes calls of OpenCL fail in turn: a run ends with exit code 5 and OpenCL's name of the error, its last checkpoint is
whole, and --resume goes on from there to the bits of a run that nothing befell.

GLESIM names the program, GLE_FAULTY_OPENCL the library that takes the place of OpenCL's loader (opencl.c). Standard
library only. With GLE_EVERY_CALL in the environment every call fails once, which takes half an hour.
"""

import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "command"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "long"))
from case import GLESIM, InFolder, PATIENCE, XOR, load # pylint: disable=wrong-import-position
import kill # pylint: disable=wrong-import-position

os.environ.pop("LD_LIBRARY_PATH", None) # the build's tools set it to where the library is, for all that a test starts
FAULTY = pathlib.Path(os.environ["GLE_FAULTY_OPENCL"]).resolve()
RUN = [XOR, "--set", "training.epochs=1", "--set", "dataset.present=0.4", "--set", "compute.backend=opencl", "--set",
       "record={every: 7, variables: [r]}", "--set", "checkpoint.minutes=1e-6", "--quiet"]
NAMES = {-1: "CL_DEVICE_NOT_FOUND", -2: "CL_DEVICE_NOT_AVAILABLE", -4: "CL_MEM_OBJECT_ALLOCATION_FAILURE",
         -5: "CL_OUT_OF_RESOURCES", -6: "CL_OUT_OF_HOST_MEMORY", -11: "CL_BUILD_PROGRAM_FAILURE",
         -1001: "CL_PLATFORM_NOT_FOUND_KHR"}
# What a driver says of each; other functions are not called, or cannot fail in a way that anybody is told.
CODES = {"clGetPlatformIDs": -1001, "clGetDeviceIDs": -1, "clCreateContext": -6, "clCreateCommandQueue": -6,
         "clFlush": -5, "clFinish": -5, "clCreateProgramWithSource": -6, "clBuildProgram": -11, "clCreateKernel": -6,
         "clSetKernelArg": -6, "clEnqueueNDRangeKernel": -5, "clCreateBuffer": -4, "clEnqueueWriteBuffer": -5,
         "clEnqueueReadBuffer": -2, "clEnqueueFillBuffer": -4,
         "clEnqueueCopyBuffer": -5}
# Those whose failure leaves something out that a run can do without.
NEEDLESS = {"clCreateProgramWithBinary": -6, "clGetProgramInfo": -5, "clGetProgramBuildInfo": -5, "clReleaseContext": -5,
            "clReleaseCommandQueue": -5, "clReleaseProgram": -5, "clReleaseKernel": -5, "clReleaseMemObject": -5,
            "clGetPlatformInfo": -6}
FIRST, MOST = (sys.maxsize, 1) if "GLE_EVERY_CALL" in os.environ else (2, 1)


def real_loader():
    """The path of libOpenCL.so.1, as the system's loader finds it; None: there is none."""
    code = ("import ctypes; ctypes.CDLL('libOpenCL.so.1'); "
            "print(next(l.split()[-1] for l in open('/proc/self/maps') if 'libOpenCL' in l))")
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    return found.stdout.strip() or None


LOADER = real_loader()
LISTED = subprocess.run([GLESIM, "--list"], capture_output=True, text=True, check=True).stdout
HAS_DEVICE = bool(LOADER) and "\ndevice\n  0 " in LISTED


def spread(n):
    """Numbers from 1 to n: the first, the last, and some between."""
    return sorted(set(range(1, min(n, FIRST) + 1)) | {1 + i * n // MOST for i in range(MOST)} | {n} if n else set())


@unittest.skipUnless(HAS_DEVICE, "OpenCL has no device here")
class Faults(InFolder):
    def setUp(self):
        super().setUp()
        self.env = {**os.environ, "GLE_OPENCL": LOADER, "LD_LIBRARY_PATH": str(FAULTY.parent),
                    "XDG_CACHE_HOME": str(self.folder / "cache")}

    def run_glesim(self, output, *args, **env):
        return subprocess.run([GLESIM, *map(str, RUN), "--output", output, *args], cwd=self.folder, text=True,
                              env={**self.env, **env}, capture_output=True, timeout=PATIENCE, check=False)

    def calls(self, name, **env):
        """How often a run that nothing befalls calls what; the run is left in a folder of that name."""
        counts = self.folder / f"{name}.counts"
        done = self.run_glesim(name, GLE_OPENCL_COUNTS=str(counts), **env)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return {line.split()[0]: int(line.split()[1]) for line in counts.read_text().splitlines()}

    def whole(self):
        return kill.folder_of_run(self.folder / "whole")

    def fault(self, function, n, code):
        """The run, and what came of it: (output, exit code, what it said)."""
        output = f"{function}_{n}{code}".replace("+", "on")
        done = self.run_glesim(output, GLE_OPENCL_FAULT=f"{function} {n} {code}")
        return output, done.returncode, done.stderr

    def check_told(self, function, n, code):
        output, returned, said = self.fault(function, n, code)
        with self.subTest(function=function, n=n):
            self.assertEqual(returned, 5, said)
            self.assertIn(f"({NAMES[code]})", said)
            self.assertEqual(said.count("\n"), 1, said)
            self.check_resumed(output)

    def check_resumed(self, output):
        run = self.folder / output / "seed_1"
        if (run / "metrics.json").exists():
            self.assertEqual(load(run / "metrics.json")["status"], "interrupted")
        done = self.run_glesim(output, "--resume")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIsNone(kill.difference(self.whole(), run))

    def each(self, check, cases):
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            for one in [pool.submit(check, *case) for case in cases]:
                one.result()

    def test_every_call_that_fails_is_told_and_loses_nothing(self):
        calls = self.calls("whole")
        self.assertGreater(calls["clEnqueueNDRangeKernel"], 100)
        # from the cache: a program is built without its source
        calls = self.calls("cached")
        self.assertIsNone(kill.difference(self.whole(), kill.folder_of_run(self.folder / "cached")))
        self.each(self.check_told, [(function, n, code) for function, code in CODES.items()
                                    if function not in ("clBuildProgram", "clCreateProgramWithSource")
                                    for n in spread(calls[function])])

    def test_a_device_that_is_lost_stays_lost(self):
        calls = self.calls("whole")
        for function in ("clEnqueueNDRangeKernel", "clEnqueueReadBuffer"):
            output, returned, said = self.fault(function, f"{calls[function] // 2}+", -5)
            self.assertEqual(returned, 5, said)
            self.assertRegex(said, r"the device '.*' .* \(CL_OUT_OF_RESOURCES\)\n$")
            self.check_resumed(output)

    def test_calls_that_a_run_can_do_without(self):
        calls = self.calls("whole")
        again = self.calls("cached")
        for function, code in NEEDLESS.items():
            for n in spread(max(calls[function], again[function])):
                output, returned, said = self.fault(function, n, code)
                self.assertEqual((returned, said), (0, ""), (function, n))
                self.assertIsNone(kill.difference(self.whole(), self.folder / output / "seed_1"))

    def test_a_program_that_the_compiler_refuses(self):
        self.env.update(XDG_CACHE_HOME=str(self.folder / "none"), POCL_CACHE_DIR=str(self.folder / "pocl"))
        (self.folder / "none").touch() # nothing can be kept there
        calls = self.calls("whole")
        self.assertEqual((calls["clBuildProgram"], calls["clCreateProgramWithBinary"]), (1, 0))
        for function, code in (("clBuildProgram", -11), ("clCreateProgramWithSource", -6)):
            self.check_told(function, 1, code)

    def test_a_cached_program_that_the_driver_refuses_is_made_anew(self):
        self.calls("whole")
        output, returned, said = self.fault("clBuildProgram", 1, -11)
        self.assertEqual((returned, said), (0, ""))
        self.assertIsNone(kill.difference(self.whole(), self.folder / output / "seed_1"))

    def test_no_platforms(self):
        for code, why in ((0, "no platforms"), (-1001, "CL_PLATFORM_NOT_FOUND_KHR")):
            _, returned, said = self.fault("clGetPlatformIDs", "1+", code)
            self.assertEqual(returned, 5, said)
            self.assertRegex(said, rf"compute\.backend: no OpenCL driver is installed: .* \({why}\)\n$")

    def test_drivers_that_do_not_tell_of_a_device(self):
        n = self.calls("whole")["clGetDeviceInfo"]
        for k in range(1, n + 1):
            output, returned, said = self.fault("clGetDeviceInfo", k, -5)
            with self.subTest(n=k):
                self.assertIn(returned, (0, 5), said)
                if returned:
                    self.assertRegex(said, r"lacks .* \(CL_DEVICE_NOT_AVAILABLE\)\n$")
                else:
                    weights = [(folder / "weights.npz").read_bytes() for folder in
                               (self.whole(), self.folder / output / "seed_1")]
                    self.assertEqual(*weights)

    def test_runs_side_by_side_are_all_told(self):
        """What fails for networks that step together fails for each of them."""
        seeds = ["--seeds", "1-3"]
        done = self.run_glesim("whole", *seeds)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        for function in ("clEnqueueWriteBufferRect", "clEnqueueReadBufferRect", "clEnqueueNDRangeKernel"):
            with self.subTest(function=function):
                done = self.run_glesim(function, *seeds, GLE_OPENCL_FAULT=f"{function} 20+ -5")
                self.assertEqual(done.returncode, 5, done.stderr)
                self.assertEqual(done.stderr.count("(CL_OUT_OF_RESOURCES)\n"), 3, done.stderr)
                self.assertEqual(done.stderr.count("\n"), 3, done.stderr)
                for path in self.folder.glob(f"{function}/*/metrics.json"):
                    self.assertEqual(load(path)["status"], "interrupted")
                done = self.run_glesim(function, *seeds, "--resume")
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                for seed in (1, 2, 3):
                    self.assertIsNone(kill.difference(self.folder / f"whole/seed_{seed}",
                                                      self.folder / f"{function}/seed_{seed}"))

    def test_other_runs_of_a_command_go_on(self):
        """A device that has failed is opened anew for the next run."""
        variants = ["--set", "variants={a: {learning.beta: 1}, b: {learning.beta: 2}, c: {learning.beta: 3}}"]
        done = self.run_glesim("many", *variants, GLE_OPENCL_FAULT="clEnqueueReadBuffer 60 -5")
        self.assertEqual(done.returncode, 5)
        self.assertEqual(len(re.findall("CL_OUT_OF_RESOURCES", done.stderr)), 1, done.stderr)
        states = [load(path)["status"] for path in sorted(self.folder.glob("many/*/*/metrics.json"))]
        self.assertEqual(sorted(states), ["completed", "completed", "interrupted"])


if __name__ == "__main__":
    unittest.main()
