"""Runs the scripts of datasets/ as a user does, each test in a folder of its own, the downloads from a server here.

Standard library only. What makes speech is skipped where espeak-ng is not installed.
"""

import array
import hashlib
import http.server
import io
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import time
import unittest
import wave
import zipfile

from case import InFolder, ROOT

DATASETS = ROOT / "datasets"
# A proxy of the user's must not come between.
ENVIRONMENT = {**os.environ, "no_proxy": "*", "PYTHONDONTWRITEBYTECODE": "1"}


class Case(InFolder):
    def start(self, script, *args):
        return subprocess.Popen([sys.executable, DATASETS / script, *map(str, args)], cwd=self.folder, env=ENVIRONMENT,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def finish(self, process, code):
        """Standard output and standard error."""
        out, err = process.communicate(timeout=60)
        self.assertEqual(process.returncode, code, (out, err))
        self.assertNotIn("Traceback", err)
        return out, err

    def call(self, script, *args, code=0):
        return self.finish(self.start(script, *args), code)

    def files(self, below="."):
        """Path -> bytes of all files, and the folders that are empty."""
        root = self.folder / below
        return {str(path.relative_to(root)): path.read_bytes() if path.is_file() else None
                for path in root.rglob("*") if path.is_file() or not any(path.iterdir())}


class Server(http.server.ThreadingHTTPServer):
    """Serves one file, or some by their names, and breaks or ignores what it is told to."""

    daemon_threads = True

    def __init__(self, content):
        super().__init__(("127.0.0.1", 0), Answer)
        self.content = content # or path -> bytes
        self.length = None     # what it says, if not the truth
        self.ranges = True     # else it sends everything, always
        self.cuts = []         # of each answer in turn: how many bytes until the connection breaks
        self.stalls = False    # after the cut: waits in place of breaking
        self.asked = []        # the Range of each request, None: without
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/archive.tar.gz"


class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        files = server.content if isinstance(server.content, dict) else {"/archive.tar.gz": server.content}
        whole = files.get(self.path)
        server.asked.append(self.headers["Range"])
        if whole is None:
            self.send_error(404)
            return
        start = int(re.fullmatch(r"bytes=(\d+)-", self.headers["Range"])[1]) if self.headers["Range"] else 0
        if start >= len(whole) and server.ranges:
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(whole)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if start and server.ranges:
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(whole) - 1}/{len(whole)}")
        else:
            start = 0
            self.send_response(200)
        self.send_header("Content-Length", str(server.length or len(whole) - start))
        self.end_headers()
        body = whole[start:]
        cut = server.cuts.pop(0) if server.cuts else len(body)
        self.wfile.write(body[:cut])
        self.wfile.flush()
        if cut < len(body) and server.stalls:
            time.sleep(30)

    def log_message(self, *_):
        pass


def archive_of(members):
    """A tar.gz with members (name, bytes) or tarfile.TarInfo."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=1) as tar:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                tar.addfile(member)
                continue
            name, content = member
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return packed.getvalue()


def special(name, kind, link=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


class Fetch(Case):
    # Bytes that do not compress, so that the archive is longer than what a connection has under way.
    MEMBERS = {"yes/0a_nohash_0.wav": bytes(range(256)), "LICENSE": b"CC BY 4.0",
               "_background_noise_/white.wav": b"".join(hashlib.sha256(b"%d" % i).digest() for i in range(30000))}

    def setUp(self):
        super().setUp()
        self.archive = archive_of([special(".", tarfile.DIRTYPE), special("./empty", tarfile.DIRTYPE),
                                   *(("./" + name, content) for name, content in self.MEMBERS.items())])
        self.sha256 = hashlib.sha256(self.archive).hexdigest()
        self.server = Server(self.archive)
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)

    def serve(self, archive):
        self.server.content, self.sha256 = archive, hashlib.sha256(archive).hexdigest()

    def arguments(self, *more):
        return ["--url", self.server.url, "--sha256", self.sha256, "--to", "data/set", *more]

    def fetch(self, *more, code=0):
        return self.call("fetch_speech_commands", *self.arguments(*more), code=code)

    def put(self, content, name="data/set.tar.gz.part"):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def assert_whole(self, **more):
        """The set is there, and nothing beside it."""
        wanted = {"data/set/empty": None, **{"data/set/" + name: content for name, content in self.MEMBERS.items()}}
        self.assertEqual(self.files(), {**wanted, **more})

    def test_a_whole_download(self):
        out, err = self.fetch()
        self.assert_whole()
        self.assertEqual(out, "data/set: 3 files, as the checksum wants them. Next: tools/glesim "
                              f"configs/gsc_mel_gle.yaml --set dataset.path={self.folder}/data/set\n")
        self.assertEqual(err, "")
        self.assertEqual(self.server.asked, [None])

    def test_what_is_there_already_is_left_alone(self):
        self.fetch()
        (self.folder / "data/set/mine").write_text("mine")
        out, _ = self.fetch()
        self.assertRegex(out, r"^data/set is there already\. Next: tools/glesim ")
        self.assert_whole(**{"data/set/mine": b"mine"})
        self.assertEqual(len(self.server.asked), 1)

    def test_the_archive_may_be_kept_and_is_used_again(self):
        self.fetch("--keep")
        self.assert_whole(**{"data/set.tar.gz": self.archive})
        shutil.rmtree(self.folder / "data/set")
        self.fetch()
        self.assert_whole(**{"data/set.tar.gz": self.archive})
        self.assertEqual(len(self.server.asked), 1)
        shutil.rmtree(self.folder / "data/set")
        self.put(b"something else", "data/set.tar.gz")
        self.assertIn("data/set.tar.gz: not the archive", self.fetch(code=4)[1])
        self.assertEqual(self.files(), {"data/set.tar.gz": b"something else"})

    def test_a_broken_connection_is_gone_on_with(self):
        self.server.cuts = [100000, 300000]
        _, err = self.fetch()
        self.assert_whole()
        self.assertEqual(self.server.asked, [None, "bytes=100000-", "bytes=400000-"])
        self.assertIn("the connection broke after 0.1 MB; trying again\n", err)

    def test_a_connection_that_breaks_again_at_once_is_left_to_a_second_call(self):
        self.server.cuts = [100000, 0]
        _, err = self.fetch(code=5)
        self.assertIn("a second call goes on\n", err)
        self.assertEqual(self.files(), {"data/set.tar.gz.part": self.archive[:100000]})
        self.fetch()
        self.assert_whole()
        self.assertEqual(self.server.asked, [None, "bytes=100000-", "bytes=100000-"])

    def test_a_second_call_goes_on_after_ctrl_c(self):
        self.server.cuts, self.server.stalls = [100000], True
        process = self.start("fetch_speech_commands", *self.arguments())
        part = self.folder / "data/set.tar.gz.part"
        while not part.exists() or part.stat().st_size < 100000:
            self.assertIsNone(process.poll())
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, err = self.finish(process, 130)
        self.assertEqual(err, "fetch_speech_commands: stopped; what was downloaded is kept, a second call goes on\n")
        self.assertEqual(self.files(), {"data/set.tar.gz.part": self.archive[:100000]})
        self.fetch()
        self.assert_whole()
        self.assertEqual(self.server.asked, [None, "bytes=100000-"])

    def test_a_server_without_ranges_is_asked_for_everything(self):
        self.server.ranges = False
        self.put(b"x" * 1000)
        _, err = self.fetch()
        self.assert_whole()
        self.assertEqual(self.server.asked, ["bytes=1000-"])
        self.assertIn("starting anew", err)

    def test_a_server_without_ranges_that_always_breaks_is_given_up(self):
        self.server.ranges, self.server.cuts = False, [100000] * 9
        self.fetch(code=5)
        self.assertEqual(len(self.server.asked), 2)

    def test_a_whole_part_needs_no_server(self):
        self.put(self.archive)
        self.fetch()
        self.assert_whole()
        self.assertEqual(self.server.asked, [])

    def test_a_wrong_checksum_is_bad_data(self):
        self.sha256 = "0" * 64
        _, err = self.fetch(code=4)
        self.assertIn(f"{len(self.archive)} bytes with the SHA-256 {hashlib.sha256(self.archive).hexdigest()}, where "
                      f"{'0' * 64} is wanted; deleted\n", err)
        self.assertEqual(self.files(), {"data": None})

    def test_a_part_that_is_no_part_of_it_is_deleted(self):
        self.put(b"x" * len(self.archive))
        self.assertRegex(self.fetch(code=4)[1], "as long as the archive, but its SHA-256 is .*; deleted, please call")
        self.assertEqual(self.files(), {"data": None})
        self.put(self.archive + b"x")
        size = len(self.archive)
        self.assertIn(f"{size + 1} bytes, where the archive has {size}; deleted", self.fetch(code=4)[1])
        self.assertEqual(self.files(), {"data": None})
        self.put(b"x" * 1000)
        self.assertIn("deleted", self.fetch(code=4)[1])
        self.assertEqual(self.files(), {"data": None})

    def test_no_server_and_no_file_are_told(self):
        _, err = self.fetch("--url", self.server.url + ".bz2", code=5)
        self.assertRegex(err, r"^fetch_speech_commands: http://\S+\.bz2: the server says 404 Not Found\n$")
        self.server.shutdown()
        self.server.server_close()
        _, err = self.fetch(code=5)
        self.assertRegex(err, r"^fetch_speech_commands: http://\S+: cannot reach the server: Connection refused\n$")
        self.assertEqual(self.files(), {"data": None})

    def test_a_full_disk_is_told_beforehand(self):
        self.server.length = 10 ** 18
        self.assertRegex(self.fetch(code=3)[1], r"no space: \S+ MB are still to come, \S+ MB are free\n$")
        self.assertEqual(self.files(), {"data": None})

    def test_a_target_that_cannot_be_written_is_told(self):
        self.put(b"", "file")
        _, err = self.fetch("--to", "file/set", code=3)
        self.assertRegex(err, r"file/set\.tar\.gz\.part: cannot write: (Not a directory|File exists)\n$")
        self.put(b"", "data/set")
        _, err = self.fetch(code=3)
        self.assertRegex(err, r"^fetch_speech_commands: data/set: cannot write: a file is .*\n$")
        self.assertEqual(self.server.asked, [])

    def test_options_that_make_no_sense_are_told(self):
        self.assertIn("http://", self.fetch("--url", "file:///etc/passwd", code=2)[1])
        self.assertIn("64 hexadecimal digits", self.fetch("--sha256", "12", code=2)[1])
        self.fetch("--two", code=2)

    def test_a_hostile_archive_leaves_nothing(self):
        for member in [("../evil", b"x"), ("yes/../../evil", b"x"), (f"{self.folder}/evil", b"x"),
                       special("link", tarfile.SYMTYPE, "/etc"), special("link", tarfile.LNKTYPE, "yes/0.wav"),
                       special("device", tarfile.CHRTYPE), special("pipe", tarfile.FIFOTYPE)]:
            name = member[0] if isinstance(member, tuple) else member.name
            with self.subTest(name):
                self.serve(archive_of([("yes/0.wav", b"0"), member, ("yes/1.wav", b"1")]))
                _, err = self.fetch(code=4)
                self.assertRegex(err, r"^fetch_speech_commands: the archive has a member that .*: '.*'\n$")
                self.assertIn(name, err)
                self.assertEqual(self.files(), {"data/set.tar.gz.part": self.server.content})
                (self.folder / "data/set.tar.gz.part").unlink()

    def test_no_archive_at_all_is_bad_data(self):
        for content in (b"no archive", self.archive[:200000]):
            self.serve(content)
            self.assertIn("cannot unpack", self.fetch(code=4)[1])
            (self.folder / "data/set.tar.gz.part").unlink()
            self.assertEqual(self.files(), {"data": None})

    def test_an_interrupted_unpacking_leaves_nothing_that_looks_whole(self):
        self.serve(archive_of([(f"yes/{i}.wav", b"%d" % i) for i in range(3000)]))
        process = self.start("fetch_speech_commands", *self.arguments())
        while not (self.folder / "data/set.part/yes").exists():
            self.assertIsNone(process.poll())
            time.sleep(0.001)
        process.send_signal(signal.SIGTERM)
        self.assertIn("a second call goes on", self.finish(process, 143)[1])
        self.assertEqual(self.files(), {"data/set.tar.gz.part": self.server.content})
        # One that was killed leaves its folder.
        self.put(b"half", "data/set.part/yes/half.wav")
        self.fetch()
        self.assertEqual(len(self.files("data/set")), 3000)
        self.assertEqual(os.listdir(self.folder / "data"), ["set"])
        self.assertEqual(len(self.server.asked), 1)

    def test_two_calls_at_once_do_not_mix(self):
        self.server.cuts, self.server.stalls = [100000], True
        process = self.start("fetch_speech_commands", *self.arguments())
        while not self.server.asked:
            time.sleep(0.01)
        self.assertIn("another call is at work on it", self.fetch(code=5)[1])
        process.terminate()
        self.finish(process, 143)


class FetchCifar10(Case):
    def test_the_batches_lie_in_the_folder_itself(self):
        batches = {"data_batch_1.bin": b"1" * 3073, "test_batch.bin": b"2" * 3073, "readme.html": b"<html>"}
        archive = archive_of([special("cifar-10-batches-bin", tarfile.DIRTYPE),
                              *(("cifar-10-batches-bin/" + name, content) for name, content in batches.items())])
        server = Server(archive)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        server.cuts = [200]
        arguments = ["--url", server.url, "--sha256", hashlib.sha256(archive).hexdigest(), "--to", "set"]
        out, err = self.call("fetch_cifar10", *arguments)
        self.assertEqual(out, "set: 3 files, as the checksum wants them. Next: tools/glesim configs/cifar10_conv.yaml "
                              f"--set dataset.path={self.folder}/set\n")
        self.assertIn("trying again", err)
        self.assertEqual(self.files(), {"set/" + name: content for name, content in batches.items()})
        self.assertEqual(server.asked, [None, "bytes=200-"])
        self.assertIn("set is there already", self.call("fetch_cifar10", *arguments)[0])


class FetchEvents(Case):
    CONTENT = {"ssc_train.h5": b"train" * 1000, "ssc_valid.h5": b"valid" * 10, "ssc_test.h5": b"test" * 10}

    def setUp(self):
        super().setUp()
        self.zips = {}
        for name, content in self.CONTENT.items():
            out = io.BytesIO()
            with zipfile.ZipFile(out, "w") as packed: # stored, so that there is something to cut
                packed.writestr(name, content)
            self.zips[f"/data/{name}.zip"] = out.getvalue()
        self.server = Server(self.zips)
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)

    def fetch(self, *more, code=0):
        sums = ",".join(hashlib.md5(content).hexdigest() for content in self.zips.values())
        return self.call("fetch_events", "ssc", "--url", f"http://127.0.0.1:{self.server.server_port}/data", "--md5",
                         sums, "--to", "set", *more, code=code)

    def test_all_files_come_one_after_the_other(self):
        self.server.cuts = [3000]
        out, _ = self.fetch()
        wanted = {"set/" + name: content for name, content in self.CONTENT.items()}
        self.assertEqual(self.files(), wanted)
        self.assertEqual(out, "set: 3 files, as the checksums want them. Next: in a config, dataset: {type: events, "
                              + ", ".join(f"{key}: {self.folder}/set/ssc_{end}.h5" for key, end in
                                          (("train", "train"), ("validation", "valid"), ("test", "test"))) + "}\n")
        self.assertEqual(self.server.asked, [None, "bytes=3000-", None, None])
        self.assertIn("set is there already", self.fetch()[0])
        (self.folder / "set/ssc_valid.h5").unlink()
        self.fetch("--keep")
        self.assertEqual(self.files(), {**wanted, "set/ssc_valid.h5.zip": self.zips["/data/ssc_valid.h5.zip"]})
        (self.folder / "set/ssc_valid.h5").unlink()
        self.fetch()
        self.assertEqual(len(self.server.asked), 5)

    def test_a_second_call_goes_on(self):
        self.server.cuts = [3000, 0]
        self.assertIn("a second call goes on", self.fetch(code=5)[1])
        self.assertEqual(self.files(), {"set/ssc_train.h5.zip.part": self.zips["/data/ssc_train.h5.zip"][:3000]})
        self.fetch()
        self.assertEqual(sorted(self.files("set")), sorted(self.CONTENT))
        self.assertEqual(self.server.asked[2], "bytes=3000-")

    def test_what_is_wrong_leaves_nothing_that_looks_whole(self):
        good = dict(self.zips)
        self.server.content = {**good, "/data/ssc_train.h5.zip": b"x" * 100}
        self.assertRegex(self.fetch(code=4)[1], "100 bytes with the MD5 [0-9a-f]{32}, where [0-9a-f]{32} is wanted; "
                                                "deleted\n$")
        for content, text in ((b"x" * 100, "cannot unpack: File is not a zip file"),
                              (good["/data/ssc_test.h5.zip"], "0 files in it are called ssc_train.h5; one is wanted"),
                              (good["/data/ssc_train.h5.zip"].replace(b"traintrain", b"traintrunk"),
                               "cannot unpack: Bad CRC-32")):
            self.zips["/data/ssc_train.h5.zip"] = content
            self.server.content = self.zips
            self.assertIn(text, self.fetch(code=4)[1])
            self.assertEqual(list(self.files("set")), ["ssc_train.h5.zip.part"])
            (self.folder / "set/ssc_train.h5.zip.part").unlink()
        self.server.content = {}
        self.assertIn("/data/ssc_train.h5.zip: the server says 404 Not Found", self.fetch(code=5)[1])

    def test_options_that_make_no_sense_are_told(self):
        self.assertIn("invalid choice", self.call("fetch_events", "mnist", code=2)[1])
        self.assertIn("not 3 times 32 hexadecimal digits", self.fetch("--md5", "ab,cd", code=2)[1])


def set_of(name):
    """As the archive's own README has it."""
    percentage = (int(hashlib.sha1(name.encode()).hexdigest(), 16) % 2 ** 27) * (100.0 / (2 ** 27 - 1))
    return "validation" if percentage < 10 else "testing" if percentage < 20 else "training"


@unittest.skipUnless(shutil.which("espeak-ng"), "espeak-ng is not installed")
class Make(Case):
    SMALL = ["--words", "yes,happy,zero", "--speakers", "3", "--noise-seconds", "2"]

    def make(self, *args, code=0):
        return self.call("make_speech_corpus", *self.SMALL, *args, code=code)

    def sound(self, path):
        with wave.open(str(self.folder / path)) as file:
            self.assertEqual((file.getnchannels(), file.getsampwidth(), file.getframerate()), (1, 2, 16000), path)
            return array.array("h", file.readframes(file.getnframes()))

    def test_the_layout_is_that_of_speech_commands(self):
        out, _ = self.make("--to", "set")
        self.assertEqual(out, "set: 18 files. Next: tools/glesim configs/synthetic_speech.yaml --set dataset.path="
                              f"{self.folder}/set\n")
        self.assertEqual(os.listdir(self.folder), ["set"])
        files = sorted(self.files("set"))
        words = [path for path in files if path.endswith(".wav") and not path.startswith("_")]
        self.assertEqual(sorted(set(files) - set(words)), [
            "README.md", "_background_noise_/babble.wav", "_background_noise_/hum.wav",
            "_background_noise_/pink_noise.wav", "_background_noise_/white_noise.wav", "testing_list.txt",
            "validation_list.txt"])
        matches = [re.fullmatch(r"(yes|happy|zero)/([0-9a-f]{8})_nohash_([01])\.wav", path) for path in words]
        self.assertTrue(all(matches), words)
        speakers = {match[2] for match in matches}
        self.assertEqual((len(words), len(speakers)), (18, 3))
        self.assertEqual({set_of(name) for name in speakers}, {"training", "validation", "testing"})
        for name in ("validation", "testing"):
            self.assertEqual((self.folder / f"set/{name}_list.txt").read_text().split(),
                             [match[0] for match in matches if set_of(match[2]) == name])

    def test_the_sounds_are_sounds(self):
        self.make("--to", "set")
        for path in self.files("set"):
            if path.endswith(".wav"):
                sound = self.sound("set/" + path)
                peak = max(map(abs, sound))
                self.assertEqual(len(sound), 32000 if path.startswith("_") else 16000, path)
                self.assertGreater(peak, 2000, path)
                self.assertLess(peak, 32767, path)
                if path.startswith("_"):
                    continue
                # A word is loud for a part of the second; the rest is a noise, not zeros.
                loud = [max(map(abs, sound[i:i + 400])) > peak / 10 for i in range(0, 16000, 400)]
                self.assertTrue(4 <= sum(loud) <= 32, (path, sum(loud)))
                self.assertTrue(all(any(sound[i:i + 400]) for i in range(0, 16000, 400)), path)

    def test_the_same_options_give_the_same_bytes(self):
        self.make("--to", "one", "--jobs", "1")
        self.make("--to", "two", "--jobs", "3")
        self.make("--to", "other", "--seed", "1")
        one, other = self.files("one"), self.files("other")
        self.assertEqual(one, self.files("two"))
        self.assertNotEqual(one["_background_noise_/hum.wav"], other["_background_noise_/hum.wav"])
        self.assertNotEqual(sorted(one), sorted(other))

    def test_what_is_there_already_is_left_alone(self):
        self.make("--to", "set")
        before = self.files()
        self.assertRegex(self.make("--to", "set")[0], r"^set is there already\. Next: ")
        self.assertIn("set: there is something else already", self.make("--to", "set", "--seed", "1", code=3)[1])
        self.assertEqual(self.files(), before)

    def test_a_call_that_is_stopped_leaves_nothing(self):
        process = self.start("make_speech_corpus", "--to", "set", "--speakers", "30")
        while not list(self.folder.glob("set.part/*/*.wav")):
            self.assertIsNone(process.poll())
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        self.assertEqual(self.finish(process, 130), ("", "make_speech_corpus: stopped; nothing of the corpus is left\n"))
        self.assertEqual(self.files(), {})

    def test_a_folder_of_a_killed_call_is_no_hindrance(self):
        (self.folder / "set.part/yes").mkdir(parents=True)
        (self.folder / "set.part/yes/half.wav").write_bytes(b"half")
        self.make("--to", "set")
        self.assertNotIn("yes/half.wav", self.files("set"))
        self.assertEqual(os.listdir(self.folder), ["set"])

    def test_a_target_that_cannot_be_written_is_told(self):
        (self.folder / "file").write_bytes(b"")
        _, err = self.make("--to", "file/set", code=3)
        self.assertRegex(err, r"^make_speech_corpus: file/set\.part: cannot write: Not a directory\n$")

    def test_options_that_make_no_sense_are_told(self):
        for option, value in (("--words", "yes,-x"), ("--words", "yes,yes"), ("--speakers", "0"), ("--takes", "x")):
            self.assertIn(option, self.make(option, value, code=2)[1])
        self.assertEqual(self.files(), {})


if __name__ == "__main__":
    unittest.main()
