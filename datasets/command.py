"""What the scripts of this folder share: exit codes as glesim has them, errors of one line, progress."""

import fcntl
import os
import pathlib
import signal
import sys
import time

USAGE, WRITE, DATA, RESOURCES = 2, 3, 4, 5


class Failure(Exception):
    """What a user has to know, and the exit code."""

    def __init__(self, code, message):
        super().__init__(code, message) # both, so that it comes through from another process
        self.code, self.message = code, message

    def __str__(self):
        return self.message


class Stopped(BaseException):
    """A signal asked for the end. No Exception, so that nothing takes it for an error of its own."""

    def __init__(self, number):
        super().__init__(number)
        self.number = number


def cannot_write(path, error):
    return Failure(WRITE, f"{shown(path)}: cannot write: {error.strerror or error}")


def shown(path):
    """As short as it gets: below the working directory without its name."""
    path = pathlib.Path(os.path.abspath(path))
    return str(path.relative_to(pathlib.Path.cwd()) if path.is_relative_to(pathlib.Path.cwd()) else path)


def say(text):
    print(text, file=sys.stderr, flush=True)


def lock(file, path):
    """Holds the open file or folder for this process alone, as long as it is open."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Failure(RESOURCES, f"{shown(path)}: another call is at work on it") from None
    except OSError: # some network file systems have no locks
        pass


def run(main, stopped):
    """Runs main() and exits. stopped: what to tell whoever stopped it."""
    name = os.path.basename(sys.argv[0])

    def stop(number, _):
        # Once is enough: a second one must not disturb the tidying up.
        for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(each, signal.SIG_IGN)
        raise Stopped(number)

    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(each) != signal.SIG_IGN: # as under nohup
            signal.signal(each, stop)
    try:
        main()
        sys.stdout.flush()
    except Failure as failure:
        say(f"{name}: {failure}")
        sys.exit(failure.code)
    except Stopped as signalled:
        say(f"{name}: stopped; {stopped}")
        sys.exit(128 + signalled.number)
    except BrokenPipeError: # of standard output: whoever read it has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(WRITE)
    except OSError as error: # whatever has no better words
        say(f"{name}: {error}")
        sys.exit(WRITE)


class Progress:
    """On a terminal a line that is written over, elsewhere a line now and then; both on standard error.

    with Progress("downloading", 2400000000, "MB") as progress:     # done and total in bytes where the unit is MB
        progress.at(1200000000)
    """

    def __init__(self, what, total, unit, start=0):
        self.what, self.total, self.unit = what, total, unit
        self.start, self.began = start, time.monotonic()
        self.terminal = sys.stderr.isatty()
        self.every = 0.2 if self.terminal else 30.0
        self.next = self.began + self.every / 3

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.terminal:
            print("\r\033[K", end="", file=sys.stderr, flush=True)

    def at(self, done):
        now = time.monotonic()
        if now < self.next:
            return
        self.next = now + self.every
        line = f"{self.what}: {self.number(done)}"
        if self.total:
            line += f" of {self.number(self.total)} {self.unit} ({100 * done // self.total} %)"
            if done > self.start:
                line += f", {duration((now - self.began) * (self.total - done) / (done - self.start))} left"
        else:
            line += f" {self.unit}"
        print(f"\r{line}\033[K" if self.terminal else line, end="" if self.terminal else "\n", file=sys.stderr,
              flush=True)

    def number(self, value):
        return f"{value / 1e6:.1f}" if self.unit == "MB" else str(value)


def duration(seconds):
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60} min"
