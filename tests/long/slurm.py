#!/usr/bin/env python3
"""Runs that Slurm takes their processors away from come to the same summary as on one machine.

usage: slurm.py GLESIM [--keep]

Slurm of one node is started here as root, without systemd and control groups: munged, slurmctld and slurmd (Debian:
slurm-wlm, munge), with their configuration (CONFIGURATION) and all that they write in a new folder. Another Slurm on
this machine is not touched. Then tools/slurm submits

  1. an array of ten seeds, one of which is preempted by a job of more weight, and one requeued by hand;
  2. the same as one job of ranks under srun, preempted with a time of grace, and requeued by hand;
  3. an array of two seeds whose time is up before they are done, again and again.

All go on by themselves. Their summaries, which the last job of each has made, and all weights are compared with those
of glesim --seeds by itself. What is said on standard output is the record of it; --keep keeps the folder. Exit code 0:
all the same; 77: not as root.
"""

import argparse
import json
import os
import pathlib
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
CONFIG = "exclusive or.yaml" # names with blanks go all the way
SEEDS = 10
EPOCHS = 1200 # some seconds
LONG_SECONDS = 75 # for longer runs; Slurm looks at times every half minute
PATIENCE = 600 # seconds for anything to happen

# What is not usual: two processors whatever the machine has (config_overrides), a requeued job begins again after some
# seconds (cred_expire; Slurm waits two minutes by itself), and processes are told by who started them (linuxproc), as
# there may be no control groups.
CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=2,bf_interval=2
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
KillWait=20
MinJobAge=3600
SlurmdParameters=config_overrides
NodeName={host} NodeAddr=127.0.0.1 CPUs=2
PartitionName=low Nodes={host} Default=YES PriorityTier=1
PartitionName=grace Nodes={host} PriorityTier=1 GraceTime=30
PartitionName=high Nodes={host} PriorityTier=10 PreemptMode=OFF
"""

begun = time.monotonic()


def say(text):
    """A line of the record, with the time; more lines below it."""
    for i, line in enumerate(text.rstrip("\n").split("\n")):
        print(f"{time.monotonic() - begun:6.1f} s  {line}" if not i else " " * 12 + line, flush=True)


def wait_for(what, condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"not within {PATIENCE} s: {what}")
        time.sleep(0.1)


def free_ports(n):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(n)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


class Cluster:
    """Slurm of one node in a folder; its commands are those of the system, told where to look by SLURM_CONF."""

    def __init__(self, folder):
        self.folder, self.daemons = folder, []
        host = socket.gethostname().split(".")[0]
        for name in ("state", "spool"):
            (folder / name).mkdir()
        self.conf = folder / "slurm.conf"
        self.conf.write_text(CONFIGURATION.format(host=host, folder=folder, ports=free_ports(2)), encoding="utf-8")
        key = folder / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o600)
        self.env = {**os.environ, "SLURM_CONF": str(self.conf)}

    def start(self):
        socket_file = self.folder / "munge.socket"
        # --force: as root, in a folder of temporary files
        self.daemon("munged", "--foreground", "--force", f"--key-file={self.folder}/munge.key",
                    f"--socket={socket_file}", f"--pid-file={self.folder}/munged.pid",
                    f"--seed-file={self.folder}/munged.seed", f"--log-file={self.folder}/munged.log")
        wait_for("munged listens", socket_file.exists)
        self.daemon("slurmctld", "-D", "-f", self.conf)
        self.daemon("slurmd", "-D", "-f", self.conf)
        wait_for("the node is idle", lambda: self.call("sinfo", "--noheader", "--format=%T", check=False)[:4] == "idle")

    def daemon(self, *command):
        with open(self.folder / f"{command[0]}.log", "ab") as log:
            self.daemons.append(subprocess.Popen(list(map(str, command)), env=self.env, stdin=subprocess.DEVNULL,
                                                 stdout=log, stderr=log, start_new_session=True))

    def stop(self):
        if len(self.daemons) == 3:
            self.call("scancel", "--user=root", check=False)
            end = time.monotonic() + 30
            while self.call("squeue", "--noheader", check=False) and time.monotonic() < end:
                time.sleep(0.2)
        for daemon in reversed(self.daemons):
            daemon.terminate()
            try:
                daemon.wait(timeout=30)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()

    def call(self, *command, cwd=None, check=True):
        done = subprocess.run(list(map(str, command)), env=self.env, cwd=cwd, stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=PATIENCE, check=False)
        if check and done.returncode:
            raise AssertionError(f"{command}: exit code {done.returncode}: {done.stderr}")
        return done.stdout.strip()

    def state(self, job):
        """PENDING, RUNNING, COMPLETING...; of a task that was requeued, its last one."""
        return self.call("squeue", "--noheader", "--jobs", job, "--states=all", "--format=%T").split("\n")[-1]

    def restarts(self, job):
        """How often it, or each task of it, by its number, has begun again."""
        shown = self.call("scontrol", "show", "job", job)
        numbers = {int(task): int(n) for task, n in re.findall(r"ArrayTaskId=(\d+) .*?Restarts=(\d+)", shown, re.S)}
        return numbers or int(re.search(r"Restarts=(\d+)", shown)[1])


def load(path):
    return json.loads(path.read_text(encoding="utf-8"))


def timeless(value):
    if isinstance(value, dict):
        return {key: timeless(item) for key, item in value.items() if key not in ("timing", "seconds")}
    return [timeless(item) for item in value] if isinstance(value, list) else value


def expect(what, truth):
    if not truth:
        raise AssertionError(what)


def run_of(folder, seed):
    return folder / f"results/xor/seed_{seed}"


def is_under_way(folder, seed):
    """Whether a run has made some epochs and is not over."""
    path = run_of(folder, seed) / "metrics.json"
    return path.exists() and load(path)["status"] == "running"


class Scenario:
    """Jobs that tools/slurm has submitted from a folder of their own, and what glesim makes alone in another."""

    def __init__(self, cluster, glesim, folder, seeds, epochs):
        self.cluster, self.glesim, self.seeds = cluster, glesim, seeds
        self.settings = ["--seeds", f"0-{seeds - 1}", "--set", f"training.epochs={epochs}"]
        self.folder, self.alone = folder, folder.with_name(f"one machine, {epochs} epochs")
        for each in (self.folder, self.alone):
            if not each.exists():
                each.mkdir()
                shutil.copy(ROOT / "configs/xor.yaml", each / CONFIG)

    def run_alone(self):
        """Returns how many seconds that took; 0: it has been made."""
        start = time.monotonic()
        if run_of(self.alone, self.seeds - 1).exists():
            return 0
        done = subprocess.run([self.glesim, CONFIG, *self.settings, "--quiet", "--jobs", "2"], cwd=self.alone,
                              stdin=subprocess.DEVNULL, check=False)
        expect(f"glesim by itself ends with {done.returncode}", done.returncode == 0)
        return time.monotonic() - start

    def submit(self, *options):
        """Ids of the job and of the last one."""
        words = [CONFIG, *self.settings, *options, "--submit"]
        said = self.cluster.call(ROOT / "tools/slurm", *words, "--glesim", self.glesim, cwd=self.folder)
        say("tools/slurm " + shlex.join(words) + "\n" + said)
        return [line.split()[1].rstrip(":,") for line in said.split("\n")]

    def finish(self, last):
        wait_for(f"job {last} has ended", lambda: self.cluster.state(last) in ("COMPLETED", "FAILED", "CANCELLED"))
        say(f"job {last}, of the summary: {self.cluster.state(last)}")

    def told(self):
        """What the jobs have written, without the lines that say how far runs are."""
        for path in sorted(self.folder.glob("slurm-*.out"), key=lambda path: path.stat().st_mtime):
            lines = path.read_text(encoding="utf-8").splitlines()
            say(f"{path.name}:\n" + "\n".join("  " + line for line in lines if " done, " not in line))

    def compare(self):
        """Returns the seeds of runs that went on from a checkpoint."""
        resumed = []
        for seed in range(self.seeds):
            one, other = run_of(self.folder, seed), run_of(self.alone, seed)
            if (one / "weights.npz").read_bytes() != (other / "weights.npz").read_bytes():
                raise AssertionError(f"seed {seed} has other weights")
            times = len(load(one / "metrics.json")["provenance"]["resumed"])
            resumed += [seed] if times else []
            if times:
                say(f"seed {seed} went on from a checkpoint {times} time{'s' if times > 1 else ''}: the same weights")
        ours, theirs = (load(folder / "results/xor/summary.json") for folder in (self.folder, self.alone))
        if timeless(ours) != timeless(theirs):
            raise AssertionError("the summaries differ")
        final = ours["final"]["test"]["loss"]
        say(f"summary.json, made by the last job, is that of one machine but for times: {ours['completed']} runs "
            f"completed, final test loss {final['mean']:.6g} +- {final['std']:.6g}")
        return resumed


def preempt(cluster, n):
    job = cluster.call("sbatch", "--parsable", "--partition=high", f"--ntasks={n}", "--output=/dev/null",
                       "--wrap=sleep 2")
    say(f"job {job} of more weight takes {n} of two processors: sbatch --partition=high")


def requeue(cluster, job):
    say(f"scontrol requeue {job}")
    cluster.call("scontrol", "requeue", job)


def try_array(cluster, scenario):
    job, last = scenario.submit("--time", "10")
    wait_for("two seeds are under way", lambda: all(is_under_way(scenario.folder, seed) for seed in (0, 1)))
    preempt(cluster, 1)
    wait_for("a task is preempted", lambda: any(cluster.restarts(job).values()))
    say("task %s is preempted" % " and ".join(f"{job}_{task}" for task, n in cluster.restarts(job).items() if n))
    wait_for("seed 5 is under way", lambda: is_under_way(scenario.folder, 5))
    requeue(cluster, f"{job}_5")
    scenario.finish(last)
    scenario.told()
    resumed = scenario.compare()
    expect("the tasks that were disturbed go on from checkpoints, and no others", len(resumed) == 2 and 5 in resumed)


def try_ranks(cluster, scenario):
    job, last = scenario.submit("--time", "10", "--mpi", "2", "--partition", "grace")
    wait_for("seeds are under way", lambda: is_under_way(scenario.folder, 0))
    preempt(cluster, 2)
    wait_for("the job is preempted", lambda: cluster.restarts(job) == 1)
    say(f"job {job} is preempted")
    wait_for("seed 4 is under way", lambda: is_under_way(scenario.folder, 4))
    requeue(cluster, job)
    scenario.finish(last)
    scenario.told()
    expect("the job has begun three times", cluster.restarts(job) == 2)
    expect("seeds go on from checkpoints", len(scenario.compare()) >= 2)


def try_time(cluster, scenario):
    job, last = scenario.submit("--time", "1", "--stop-before", "55")
    scenario.finish(last)
    scenario.told()
    restarts = cluster.restarts(job)
    say(f"tasks have begun again {restarts[0]} and {restarts[1]} times")
    expect("both tasks ran out of time and went on", min(restarts.values()) > 0 and scenario.compare() == [0, 1])


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split("\n\n")[1][len("usage: "):])
    parser.add_argument("glesim")
    parser.add_argument("--keep", action="store_true")
    args = parser.parse_args()
    if os.getuid():
        print("slurm.py: takes root", file=sys.stderr)
        return 77
    glesim = os.path.abspath(args.glesim)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="glesim-slurm-"))
    cluster = Cluster(folder)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        cluster.start()
        say(cluster.call("sinfo", "--version") + ": one node, two processors")
        epochs, seconds = EPOCHS, 0.0
        for name, what, seeds, attempt in (
                ("an array", "1. An array of ten seeds, preempted and requeued", SEEDS, try_array),
                ("ranks", "2. Ranks of srun, preempted and requeued", SEEDS, try_ranks),
                ("time", "3. Two seeds that take longer than their time", 2, try_time)):
            print(f"\n{what}\n", flush=True)
            if attempt is try_time:
                epochs = round(EPOCHS * LONG_SECONDS / (seconds * 2 / SEEDS)) # two at a time
            scenario = Scenario(cluster, glesim, folder / name, seeds, epochs)
            seconds = scenario.run_alone() or seconds
            attempt(cluster, scenario)
        print("\nall the same")
    except AssertionError as error:
        say(f"wrong: {error}")
        say(cluster.call("squeue", "--states=all", check=False))
        for path in sorted(folder.glob("*/slurm-*.out")):
            say(f"{path.parent.name}/{path.name}:\n{path.read_text(encoding='utf-8')}")
        say(f"see {folder}")
        args.keep = True
        return 1
    finally:
        cluster.stop()
        if not args.keep:
            shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
