"""Ranks on two machines, for which two network namespaces stand: a cable (veth) joins them, and is cut. One of tests/long:
GLE_LONG=1. It takes root, and ip of iproute2; where namespaces cannot be made, it says so and is skipped.

The program is the one that GLESIM names, built with MPI if GLE_MPI is 1. Standard library only.
"""

import errno
import os
import pathlib
import signal
import subprocess
import sys
import time
import unittest

from case import CONFIGS, PATIENCE, XOR, load
from test_ranks import LONG_ONES, MPIRUN, UnderMpirun

# mpirun and its daemons on other machines listen to each other like this: after 2 s without a word they ask three times,
# a second apart. What they start, they then end, which may take them a second or two. Without these options Open MPI 4.1
# waits for eight minutes (300 s + 9 x 20 s).
KEEPALIVE = ["--mca", "oob_tcp_keepalive_time", "2", "--mca", "oob_tcp_keepalive_intvl", "1",
             "--mca", "oob_tcp_keepalive_probes", "3"]
GONE_SECONDS = 15 # and they are gone at the latest
SILENCE_SECONDS = 60 # as in src/cli/ranks.c
HOSTS = {"10.203.0.1": f"gle{os.getpid()}a", "10.203.0.2": f"gle{os.getpid()}b"} # addresses that exist in there alone
HERE, THERE = HOSTS
AGENT = """#!/bin/sh
# In place of ssh: AGENT HOST COMMAND...
case $1 in
    {here}) host={a} ;;
    {there}) host={b} ;;
    *) echo "no host $1" >&2; exit 1 ;;
esac
shift
exec nsenter --net=/run/netns/$host unshare --uts sh -c "hostname $host; $*"
"""
# Rows of MNIST-1D, of fewer steps; a checkpoint every moment.
ROWS = [CONFIGS / "mnist1d_e2e.yaml", "--set", "compute.ranks=rows", "--set", "dataset.length=36", "--set",
        "training.epochs=3", "--set", "checkpoint.minutes=0.005"]


def ip(*args):
    return subprocess.run(["ip", *args], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)


def make_hosts():
    """None, or why they cannot be made."""
    try:
        for name in HOSTS.values():
            if (done := ip("netns", "add", name)).returncode:
                return done.stderr.strip()
        ends = HOSTS.values()
        steps = [["link", "add", "cable", "netns", HOSTS[HERE], "type", "veth", "peer", "name", "cable", "netns",
                  HOSTS[THERE]]]
        for address, name in HOSTS.items():
            steps += [["-n", name, "addr", "add", f"{address}/24", "dev", "cable"],
                      ["-n", name, "link", "set", "lo", "up"], ["-n", name, "link", "set", "cable", "up"]]
        for step in steps:
            if (done := ip(*step)).returncode:
                return done.stderr.strip()
        for name in ends:
            done = subprocess.run(["nsenter", f"--net=/run/netns/{name}", "unshare", "--uts", "hostname", name],
                                  stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
            if done.returncode:
                return done.stderr.strip()
    except OSError as error:
        return str(error)
    return None


def on_host(address):
    """Processes there, oldest first."""
    return sorted(map(int, ip("netns", "pids", HOSTS[address]).stdout.split()))


def hears(one, other):
    """Whether a connection is refused there, since nobody listens, and not lost."""
    look = f"import socket; s = socket.socket(); s.settimeout(1); print(s.connect_ex(('{other}', 9)))"
    done = subprocess.run(["nsenter", f"--net=/run/netns/{HOSTS[one]}", sys.executable, "-c", look],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    return done.stdout.strip() == str(errno.ECONNREFUSED)


def drop_hosts():
    for address, name in HOSTS.items():
        for pid in on_host(address):
            os.kill(pid, signal.SIGKILL)
        ip("netns", "del", name)


@unittest.skipUnless(LONG_ONES, "one of tests/long")
class Hosts(UnderMpirun):
    def setUp(self):
        super().setUp()
        self.addCleanup(drop_hosts)
        if why := make_hosts():
            self.skipTest(f"network namespaces cannot be made (as root, with iproute2): {why}")
        self.wait_for_cable()
        self.agent = self.write("agent", AGENT.format(here=HERE, there=THERE, a=HOSTS[HERE], b=HOSTS[THERE]))
        self.agent.chmod(0o755)

    def start_on_hosts(self, *args, options=()):
        """A rank on each, by mpirun on the first. Standard error goes to a file, which nobody has to read."""
        mpirun = [*MPIRUN, "--bind-to", "none", "--host", ",".join(HOSTS), "--mca", "plm_rsh_agent", self.agent, "--mca",
                  "btl", "tcp,self", "--mca", "btl_tcp_if_include", "10.203.0.0/24", "--mca", "oob_tcp_if_include",
                  "10.203.0.0/24", *KEEPALIVE, *options, "-n", "2", os.environ["GLESIM"], *args, "--threads", "1"]
        with open(self.folder / "said", "w", encoding="utf-8") as said:
            run = subprocess.Popen([self.agent, HERE, "exec", *map(str, mpirun)], cwd=self.folder, stdin=subprocess.DEVNULL,
                                   stdout=said, stderr=said)
        self.addCleanup(run.wait)
        self.addCleanup(run.kill) # comes first
        return run

    def said(self):
        return (self.folder / "said").read_text(encoding="utf-8")

    def ends(self, run, seconds):
        try:
            return run.wait(seconds)
        except subprocess.TimeoutExpired:
            self.fail(f"it has not ended: {self.said()}")

    def cut_cable(self, run):
        """Cuts it, and counts how long anything is left on either side."""
        self.assertIsNone(run.poll(), self.said())
        self.assertTrue(all(map(on_host, HOSTS)))
        ip("-n", HOSTS[HERE], "link", "set", "cable", "down")
        start = time.monotonic()
        while any(map(on_host, HOSTS)):
            self.assertLess(time.monotonic() - start, GONE_SECONDS, (list(map(on_host, HOSTS)), self.said()))
            time.sleep(0.1)
        seconds = time.monotonic() - start
        self.assertNotEqual(run.wait(PATIENCE), 0, self.said())
        ip("-n", HOSTS[HERE], "link", "set", "cable", "up")
        self.wait_for_cable()
        return seconds

    def wait_for_cable(self):
        """It may take a second until it carries something again."""
        end = time.monotonic() + PATIENCE
        while not (hears(HERE, THERE) and hears(THERE, HERE)):
            self.assertLess(time.monotonic(), end, "the cable does not carry anything")
            time.sleep(0.1)

    def goes_on(self, run, output):
        """It has a checkpoint, and makes steps."""
        self.wait_for(lambda: list((self.folder / output).glob("**/checkpoint*")), run)

    def weights(self, output, seed):
        return next((self.folder / output).glob(f"**/seed_{seed}/weights.npz")).read_bytes()

    def test_rows_give_the_same_bits_over_a_cable_and_after_it_was_cut(self):
        self.run_ranks(2, *ROWS, "--output", "near", "--threads", "1", "--quiet")
        self.assertEqual(self.ends(self.start_on_hosts(*ROWS, "--output", "far", "--quiet"), PATIENCE), 0, self.said())
        self.assertEqual(self.weights("far", 12), self.weights("near", 12))
        run = self.start_on_hosts(*ROWS, "--output", "cut", "--quiet")
        self.goes_on(run, "cut")
        seconds = self.cut_cable(run)
        print(f"hosts: rows: all processes gone {seconds:.1f} s after the cut", flush=True)
        again = self.start_on_hosts(*ROWS, "--output", "cut", "--quiet", "--resume")
        self.assertEqual(self.ends(again, PATIENCE), 0, self.said())
        self.assertEqual(len(load(self.run_of("cut", 12) / "metrics.json")["provenance"]["resumed"]), 1)
        self.assertEqual(self.weights("cut", 12), self.weights("near", 12))

    def test_runs_side_by_side_are_broken_off_by_a_cut_and_go_on(self):
        args = [XOR, "--seeds", "0-3", "--set", "training.epochs=1000", "--set", "checkpoint.minutes=0.005"]
        self.run_glesim(*args, "--output", "near", "--quiet")
        run = self.start_on_hosts(*args, "--output", "cut")
        self.wait_for(lambda: len(list(self.folder.glob("cut/*/checkpoint*"))) > 1, run)
        seconds = self.cut_cable(run)
        print(f"hosts: side by side: all processes gone {seconds:.1f} s after the cut", flush=True)
        self.assertFalse((self.run_of("cut", 3) / "weights.npz").exists())
        again = self.start_on_hosts(*args, "--output", "cut", "--resume")
        self.assertEqual(self.ends(again, PATIENCE), 0, self.said())
        for seed in range(4):
            self.assertEqual(self.weights("cut", seed), self.weights("near", seed))
        self.assertEqual(load(self.folder / "cut/summary.json")["completed"], 4)

    def test_nobody_waits_for_ever_for_a_rank_that_was_lost_on_another_machine_while_it_had_nothing_to_do(self):
        run = self.start_on_hosts(XOR, "--seeds", "0", "--set", "training.epochs=2000", options=["--enable-recovery"])
        self.wait_for(lambda: list(self.folder.glob("results/xor/*/metrics.json")), run)
        ranks = [pid for pid in on_host(THERE) if pathlib.Path(f"/proc/{pid}/comm").read_text() == "glesim\n"]
        self.assertEqual(len(ranks), 1)
        os.kill(ranks[0], signal.SIGKILL)
        self.ends(run, SILENCE_SECONDS + PATIENCE)
        self.assertEqual(load(self.run_of("results/xor", 0) / "metrics.json")["status"], "completed")


if __name__ == "__main__":
    unittest.main()
