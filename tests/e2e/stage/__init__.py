"""What every end-to-end story needs: a server of its own, the command line, and checks that are counted."""

import json
import os
import signal
import socket
import subprocess
import time

import pynetbox

BINARY = os.environ["LEASEHOLD_TEST_BINARY"]
GRPCURL = os.environ["LEASEHOLD_TEST_GRPCURL"]
URL = os.environ["LEASEHOLD_TEST_NETBOX_URL"]
# The token with exactly the permissions that `setup --print-permissions` lists: more must not be needed.
TOKEN = os.environ["LEASEHOLD_TEST_NETBOX_TOKEN_MINIMAL"]
ADMIN = os.environ["LEASEHOLD_TEST_NETBOX_TOKEN_V1"]
failures = 0


def check(name, held, seen=None):
    """Counted by tests/run: a line for each."""
    global failures
    if held:
        print(f"ok {name}", flush=True)
    else:
        failures += 1
        print(f"not ok {name}: {seen!r}", flush=True)


def exit_code():
    return 1 if failures else 0


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(name, held, limit):
    """Waits until it holds; what it gave is returned."""
    began = time.monotonic()
    while time.monotonic() - began < limit:
        found = held()
        if found:
            check(f"{name} (within {limit} s)", True)
            return found
        time.sleep(0.05)
    check(f"{name} (within {limit} s)", False, held())
    return None


class Stage:
    """A directory, settings in the environment, and a server that can be started and stopped."""

    def __init__(self, directory, **settings):
        self.grpc = f"127.0.0.1:{free_port()}"
        self.http = f"127.0.0.1:{free_port()}"
        self.env = {
            "PATH": os.environ["PATH"],
            "LEASEHOLD_NETBOX__URL": URL,
            "LEASEHOLD_NETBOX__TOKEN": TOKEN,
            "LEASEHOLD_SERVER": f"http://{self.grpc}",
            "LEASEHOLD_SERVER__GRPC_LISTEN": self.grpc,
            "LEASEHOLD_SERVER__HTTP_LISTEN": self.http,
            "XDG_DATA_HOME": str(directory),
            **settings,
        }
        self.netbox = pynetbox.api(URL, token=ADMIN)
        self.server = None

    def serve(self):
        self.server = subprocess.Popen([BINARY, "serve"], env=self.env)
        until("the server answers", lambda: self.grpcurl(self.grpc, "list")[0] == 0, 10)
        self.leasehold("status", "--wait")

    def stop(self):
        if self.server is None:
            return
        self.server.send_signal(signal.SIGTERM)
        check("the server stops on SIGTERM with 0", self.server.wait(30) == 0, self.server.returncode)
        self.server = None

    def leasehold(self, *arguments, code=0):
        done = subprocess.run([BINARY, *arguments], env=self.env, capture_output=True, text=True, timeout=120)
        check(f"leasehold {' '.join(arguments)[:70]} exits {code}", done.returncode == code,
              (done.returncode, done.stdout, done.stderr))
        return done.stdout

    def json(self, *arguments, code=0):
        text = self.leasehold(*arguments, "--output", "json", code=code)
        return json.loads(text) if text.startswith("{") else {}

    def quiet(self, *arguments):
        """As json, and no check: for what is asked again and again."""
        done = subprocess.run([BINARY, *arguments, "--output", "json"], env=self.env, capture_output=True, text=True,
                              timeout=60)
        return json.loads(done.stdout) if done.stdout.startswith("{") else {}

    def grpcurl(self, *arguments):
        done = subprocess.run([GRPCURL, "-plaintext", *arguments], capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout + done.stderr
