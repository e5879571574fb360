"""What every end-to-end test needs: a server of its own, the command line, and checks that are counted."""

import datetime
import json
import os
import random
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
# How long a test waits for an event. No test depends on the value: it only ends a test that would never end.
HUNG = 90
failures = 0


def today():
    """The date in UTC, which the server uses. Waits for the next day if this one would end during the test."""
    now = datetime.datetime.now(datetime.timezone.utc)
    midnight = datetime.datetime.combine(now.date() + datetime.timedelta(days=1), datetime.time(), datetime.timezone.utc)
    if midnight - now < datetime.timedelta(minutes=5):
        time.sleep((midnight - now).total_seconds() + 1)
    return datetime.datetime.now(datetime.timezone.utc).date()


TODAY = today()


def days(count):
    """The date that is so many days from today."""
    return (TODAY + datetime.timedelta(days=count)).isoformat()


def check(name, held, seen=None):
    """Prints a line that tests/run counts."""
    global failures
    if held:
        print(f"ok {name}", flush=True)
    else:
        failures += 1
        print(f"not ok {name}: {seen!r}", flush=True)


def exit_code():
    return 1 if failures else 0


def free_port():
    """A port that nothing uses, below the range from which Linux takes the ports of connections."""
    while True:
        port = random.randrange(20000, 32000)
        try:
            with socket.socket() as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
                tcp.bind(("127.0.0.1", port))
                udp.bind(("127.0.0.1", port))
            return port
        except OSError:
            pass


def until(name, condition, times=None):
    """Waits until a condition holds and returns its value. Adds the seconds that it took to `times`."""
    began = time.monotonic()
    while True:
        value = condition()
        took = time.monotonic() - began
        if value or took > HUNG:
            break
        time.sleep(0.05)
    check(name, value, value)
    if times is not None:
        times.append(took)
    return value


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
        until("the server answers", lambda: self.grpcurl(self.grpc, "list")[0] == 0)
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
        """Like json, but without a check: for a condition that is asked for again and again."""
        done = subprocess.run([BINARY, *arguments, "--output", "json"], env=self.env, capture_output=True, text=True,
                              timeout=60)
        return json.loads(done.stdout) if done.stdout.startswith("{") else {}

    def looked_up(self, address, *arguments):
        """What `lookup` says about one address, or nothing."""
        return (self.quiet("lookup", address, *arguments).get("results") or [{}])[0]

    def records(self, address):
        """The records that `lookup` shows for an address; None if it gives no answer. Every list is in the JSON, so an empty
        one is an answer."""
        return self.looked_up(address).get("records")

    def grpcurl(self, *arguments):
        done = subprocess.run([GRPCURL, "-plaintext", *arguments], capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout + done.stderr
