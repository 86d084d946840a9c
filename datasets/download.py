"""What the scripts of this folder that fetch something share: downloads that go on where they were cut off, checksums,
and archives that are unpacked whole or not at all.
"""

import argparse
import hashlib
import http.client
import os
import pathlib
import re
import shutil
import tarfile
import urllib.error
import urllib.request
import zlib

from command import DATA, RESOURCES, WRITE, Failure, Progress, cannot_write, lock, say, shown

TIMEOUT = 60 # seconds without a byte
BLOCK = 1 << 18
NETWORK_ERRORS = (OSError, http.client.HTTPException)
STOPPED = "what was downloaded is kept, a second call goes on"


def megabytes(size):
    return f"{size / 1e6:.1f} MB"


def beside(folder, ending):
    return folder.with_name(folder.name + ending)


class Checksum:
    """What a file should have: Checksum("sha256", "af14..."), or "md5" where no better one is published."""

    NAMES = {"sha256": "SHA-256", "md5": "MD5"}

    def __init__(self, algorithm, value):
        self.algorithm, self.value, self.name = algorithm, value.lower(), self.NAMES[algorithm]

    def start(self):
        return hashlib.new(self.algorithm)


def digest_of(file, checksum):
    """The digest of the whole file, whose position is at its end afterwards."""
    digest, size = checksum.start(), os.fstat(file.fileno()).st_size
    file.seek(0)
    with Progress("checking", size, "MB") as progress:
        while block := file.read(BLOCK):
            digest.update(block)
            progress.at(file.tell())
    return digest


def ask(url, start):
    """The server's answer, its first byte's place in the archive and the archive's size (None: not told).

    The answer is None where the server says that nothing comes after `start`.
    """
    request = urllib.request.Request(url, headers={"User-Agent": "glesim"})
    if start:
        request.add_header("Range", f"bytes={start}-")
    try:
        answer = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == 416 and start:
            size = re.fullmatch(r"bytes \*/(\d+)", error.headers.get("Content-Range", ""))
            return None, start, int(size[1]) if size else None
        raise Failure(RESOURCES, f"{url}: the server says {error.code} {error.reason}") from None
    except urllib.error.URLError as error:
        why = getattr(error.reason, "strerror", None) or error.reason
        raise Failure(RESOURCES, f"{url}: cannot reach the server: {why}") from None
    except NETWORK_ERRORS as error:
        raise Failure(RESOURCES, f"{url}: no answer that makes sense: {error or type(error).__name__}") from None
    length = answer.headers.get("Content-Length", "")
    size = int(length) if length.isdecimal() else None
    if answer.status != 206:
        return answer, 0, size
    span = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", answer.headers.get("Content-Range", ""))
    if not span or int(span[1]) != start:
        answer.close()
        raise Failure(RESOURCES, f"{url}: asked for the bytes from {start}, the server sends others")
    return answer, start, int(span[2]) if span[2] != "*" else start + size if size is not None else None


def append(answer, file, path, digest, size):
    """Puts what comes at the end of the file. Returns why it ended too early, or None."""
    with answer, Progress("downloading", size, "MB", file.tell()) as progress:
        while True:
            try:
                block = answer.read1(BLOCK) # what has come, without waiting for more
            except NETWORK_ERRORS as error:
                return str(error) or type(error).__name__
            if not block:
                return "the connection broke" if size is not None and file.tell() < size else None
            try:
                file.write(block)
                file.flush()
            except OSError as error:
                raise cannot_write(path, error) from None
            digest.update(block)
            progress.at(file.tell())


def download(url, file, path, checksum):
    """Goes on with the file until it is the archive."""
    digest = digest_of(file, checksum)
    if digest.hexdigest() == checksum.value: # a former call was stopped after it was whole
        return
    if file.tell():
        say(f"going on after the {megabytes(file.tell())} of {shown(path)}")
    furthest = file.tell()
    while True:
        answer, start, size = ask(url, file.tell())
        if not answer:
            if size is not None and file.tell() > size:
                what = f"{file.tell()} bytes, where the archive has {size}"
            else:
                what = f"as long as the archive, but its {checksum.name} is {digest.hexdigest()} in place of " \
                       f"{checksum.value}"
            path.unlink()
            raise Failure(DATA, f"{shown(path)}: {what}; deleted, please call again")
        if start != file.tell():
            say("this server cannot go on from the middle; starting anew")
            file.truncate(start)
            file.seek(start)
            digest = checksum.start()
        free = shutil.disk_usage(path.parent).free
        if size is not None and size - start > free:
            answer.close()
            raise Failure(WRITE, f"{shown(path)}: no space: {megabytes(size - start)} are still to come, "
                                 f"{megabytes(free)} are free")
        why = append(answer, file, path, digest, size)
        if not why:
            break
        have = megabytes(file.tell())
        if file.tell() <= furthest:
            raise Failure(RESOURCES, f"{url}: {why} after {have}, and again; what came is kept, a second call goes on")
        furthest = file.tell()
        say(f"{why} after {have}; trying again")
    if digest.hexdigest() != checksum.value:
        path.unlink()
        raise Failure(DATA, f"{shown(path)}: {file.tell()} bytes with the {checksum.name} {digest.hexdigest()}, "
                            f"where {checksum.value} is wanted; deleted")


def place_of(member, folder, top):
    """Where a member of the archive goes: below the folder, or nowhere; without the name of the folder `top`."""
    parts = [part for part in member.name.split("/") if part not in ("", ".")]
    if top and parts[:1] == [top]:
        del parts[0]
    if member.name.startswith("/") or ".." in parts or "\0" in member.name:
        raise Failure(DATA, f"the archive has a member that wants out of its folder: {member.name!r}")
    if not member.isreg() and not member.isdir():
        raise Failure(DATA, f"the archive has a member that is no file and no folder: {member.name!r}")
    return folder.joinpath(*parts)


def unpack(archive, path, folder, top):
    """Unpacks into a new folder. Returns how many files there are."""
    files, size = 0, os.fstat(archive.fileno()).st_size
    archive.seek(0)
    try:
        with tarfile.open(fileobj=archive, mode="r|gz") as tar, Progress("unpacking", size, "MB") as progress:
            while member := tar.next():
                tar.members.clear() # else it keeps them all
                place = place_of(member, folder, top)
                try:
                    (place if member.isdir() else place.parent).mkdir(parents=True, exist_ok=True)
                    if member.isreg():
                        with open(place, "xb") as out:
                            shutil.copyfileobj(tar.extractfile(member), out)
                        files += 1
                except OSError as error:
                    raise cannot_write(place, error) from None
                progress.at(archive.tell())
    except (tarfile.TarError, zlib.error, EOFError) as error:
        raise Failure(DATA, f"{shown(path)}: cannot unpack: {error}") from None
    return files


def put_in_place(archive, path, target, top):
    """Unpacks beside the target, which is there whole or not at all."""
    folder = beside(target, ".part")
    shutil.rmtree(folder, ignore_errors=True) # of a call that was killed
    try:
        try:
            folder.mkdir()
        except OSError as error:
            raise cannot_write(folder, error) from None
        files = unpack(archive, path, folder, top)
        try:
            folder.rename(target)
        except OSError as error:
            raise cannot_write(target, error) from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return files


def open_archive(path, mode):
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = open(path, mode)
    except OSError as error:
        raise cannot_write(path, error) from None
    lock(file, path)
    return file


def fetch_folder(url, checksum, target, keep, command, top=""):
    """Fetches a .tar.gz and unpacks it into the folder target. command: what the user may call next."""
    if target.is_dir() and any(target.iterdir()):
        print(f"{shown(target)} is there already. Next: {command}")
        return
    if target.exists() and not target.is_dir():
        raise Failure(WRITE, f"{shown(target)}: cannot write: a file is in the place of the folder")
    whole, part = beside(target, ".tar.gz"), beside(target, ".tar.gz.part")
    if whole.exists(): # kept, or put there by hand
        with open_archive(whole, "rb") as archive:
            if digest_of(archive, checksum).hexdigest() != checksum.value:
                raise Failure(DATA, f"{shown(whole)}: not the archive, whose {checksum.name} is {checksum.value}; "
                                    "please move it away")
            files = put_in_place(archive, whole, target, top)
    else:
        with open_archive(part, "a+b") as archive:
            try:
                download(url, archive, part, checksum)
            finally:
                if part.exists() and not os.fstat(archive.fileno()).st_size:
                    part.unlink() # nothing came
            files = put_in_place(archive, part, target, top)
            if keep:
                part.rename(whole)
            else:
                part.unlink()
    print(f"{shown(target)}: {files} files, as the checksum wants them. Next: {command}")


def check_url(parser, url):
    if not url.startswith(("http://", "https://")):
        parser.error(f"--url: {url!r} does not start with http:// or https://")


def main_of_archive(text, url, sha256, folder, what, config, top=""):
    """The command line of a script that fetches one .tar.gz into a folder, which `config` reads."""
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--to", metavar="FOLDER", type=pathlib.Path, default=folder,
                        help=f"where {what} (default: datasets/{folder.name})")
    parser.add_argument("--keep", action="store_true", help="keep the archive, as FOLDER.tar.gz")
    parser.add_argument("--url", default=url, help="another place that has the archive")
    parser.add_argument("--sha256", default=sha256, help="of another archive")
    args = parser.parse_args()
    check_url(parser, args.url)
    if not re.fullmatch("[0-9a-fA-F]{64}", args.sha256):
        parser.error(f"--sha256: {args.sha256!r} is not 64 hexadecimal digits")
    target = pathlib.Path(os.path.abspath(args.to))
    command = f"tools/glesim {config}" + ("" if target == folder else f" --set dataset.path={target}")
    fetch_folder(args.url, Checksum("sha256", args.sha256), target, args.keep, command, top)
