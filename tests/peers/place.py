"""Where things are kept, and how commands are run."""

import fcntl
import os
import pathlib
import random
import shutil
import socket
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "leasehold"


class Missing(Exception):
    """Something is missing on this machine; the text says what to do."""


def run(command, log=None, env=None, cwd=None, timeout=1800, **more):
    """Runs a command to its end; its output goes to the log. Raises with the log's tail if it fails."""
    command = [str(part) for part in command]
    if log is None:
        done = subprocess.run(command, env=env, cwd=cwd, timeout=timeout, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False, **more)
        output = done.stdout
    else:
        with open(log, "ab") as out:
            done = subprocess.run(command, env=env, cwd=cwd, timeout=timeout, stdout=out,
                                  stderr=subprocess.STDOUT, check=False, **more)
        output = pathlib.Path(log).read_text(errors="replace")
    if done.returncode != 0:
        tail = "\n".join(output.splitlines()[-30:])
        raise Missing(f"{' '.join(command)} ended with {done.returncode}:\n{tail}")
    return output


def free_port():
    """A port that nothing uses, below the range from which Linux takes the ports of connections."""
    while True:
        port = random.randrange(20000, 32000)
        try:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
            return port
        except OSError:
            pass


class Locked:
    """One run at a time fills the cache."""

    def __enter__(self):
        CACHE.mkdir(parents=True, exist_ok=True)
        self.file = open(CACHE / "lock", "w", encoding="utf-8")
        fcntl.flock(self.file, fcntl.LOCK_EX)
        return self

    def __exit__(self, *_):
        self.file.close()


def debian(binary, package):
    """The path of a program from Debian's packages; installs the package if it is missing."""
    found = shutil.which(binary)
    if found:
        return found
    apt = ["apt-get"] if os.geteuid() == 0 else ["sudo", "-n", "apt-get"]
    if shutil.which("apt-get") is None or (apt[0] == "sudo" and shutil.which("sudo") is None):
        raise Missing(f"{binary} is missing; install the package {package} (Debian's name of it)")
    print(f"  installing {package} ...", flush=True)
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        run([*apt, "install", "-y", "-q", package], env=env)
    except Missing:
        # Package lists may be old, or not there at all on a new machine.
        run([*apt, "update", "-q"], env=env)
        run([*apt, "install", "-y", "-q", package], env=env)
    return shutil.which(binary) or binary


def python312():
    """A Python that NetBox runs on."""
    names = ["python3.12", "python3.13", "python3.14"]
    found = [shutil.which(name) for name in names]
    home = pathlib.Path.home()
    found += sorted(map(str, home.glob(".pyenv/versions/3.1[2-4].*/bin/python")))
    for candidate in filter(None, found):
        probe = subprocess.run([candidate, "-c", "import sys, venv, ssl; print(sys.version_info >= (3, 12))"],
                               capture_output=True, text=True, check=False)
        if probe.stdout.strip() == "True":
            return candidate
    raise Missing("NetBox needs Python 3.12 or newer with venv: install python3.12 and python3.12-venv")


def venv(name, *requirements):
    """A virtual environment in the cache with these packages; made once."""
    directory = CACHE / "venv" / name
    done = directory / "done"
    wanted = "\n".join(requirements)
    if not done.exists() or done.read_text() != wanted:
        print(f"  installing {' '.join(requirements)} ...", flush=True)
        shutil.rmtree(directory, ignore_errors=True)
        run([python312(), "-m", "venv", directory])
        run([directory / "bin/pip", "install", "-q", *requirements])
        done.write_text(wanted)
    return directory
