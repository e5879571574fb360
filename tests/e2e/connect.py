"""The README's story as JSON by HTTP, against `leasehold demo`: with curl, and with Connect's client for Node.js.

Both are also refused in several ways, and grpcurl in the same ways: the codes and the reasons must be the same.
"""

import json
import os
import pathlib
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile

from stage import BINARY, GRPCURL, check, days, exit_code, free_port

TOOLS = pathlib.Path(os.environ["LEASEHOLD_TEST_CONNECT"])
ROOT = pathlib.Path(__file__).parents[2]
BLOCK = "203.0.113.0/24"

# Requests that are refused, with the code and the reason of the refusal.
REFUSALS = [
    ("PrefixService/LookupAddress", {"address": "203.0.113.5/24"}, "invalid_argument", "INVALID_FIELDS"),
    ("PrefixService/GetPrefix", {"prefix": "192.0.2.128/25"}, "not_found", "PREFIX_NOT_FOUND"),
    ("PrefixService/LookupAddress", {"address": "203.0.113.5", "vrf": {"name": "nowhere"}}, "not_found", "VRF_NOT_FOUND"),
    ("PrefixService/LookupAddress", {"address": "203.0.113.5", "asOfTime": "2001-01-01T00:00:00Z"}, "out_of_range",
     "HISTORY_NOT_KEPT"),
    ("LeaseService/GetLease", {"prefix": "198.51.100.0/24"}, "not_found", "LEASE_NOT_FOUND"),
    ("LeaseService/EndLease", {"prefix": BLOCK}, "failed_precondition", "ADDRESSES_IN_USE"),
    ("LeaseService/RegisterLease", {"prefix": BLOCK, "owner": "SOMEBODY-ELSE", "expiryDate": {"year": 2040, "month": 1, "day": 1}},
     "already_exists", "LEASE_EXISTS"),
    ("AllocationService/AllocateAddresses", {"prefix": BLOCK, "count": 1000}, "resource_exhausted", "PREFIX_FULL"),
    ("AllocationService/AllocateAddresses", {"prefix": "203.0.113.5/24", "count": -1}, "invalid_argument", "INVALID_FIELDS"),
    ("AllocationService/GetAllocation", {"requestId": "never-seen"}, "not_found", "ALLOCATION_NOT_FOUND"),
    ("EventService/WatchEvents", {"resumeToken": "not-a-token"}, "invalid_argument", "INVALID_FIELDS"),
]


def snake(code):
    """A code as Connect writes it, from the name that grpcurl prints."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", code).lower()


def day(text):
    year, month, day = map(int, text.split("-"))
    return {"year": year, "month": month, "day": day}


class Demo:
    """`leasehold demo` after its last step, when it keeps running."""

    def __init__(self):
        self.grpc, self.http = (f"127.0.0.1:{free_port()}" for _ in range(2))
        self.process = subprocess.Popen([BINARY, "demo", "--grpc-listen", self.grpc, "--http-listen", self.http],
                                        stdout=subprocess.PIPE, text=True)
        lines = []
        for line in self.process.stdout:
            lines.append(line)
            if "curl" in line and self.http in line and "grpcurl" not in line:
                break
        # The line that the demo prints for its readers must work as it is.
        self.line = lines[-1].strip().removeprefix("$ ")
        check("the demo keeps running and prints a line for curl", self.http in self.line, lines[-3:])

    def end(self):
        """Waits for the end after the one SIGTERM that the test has sent: a second one would end the demo at once."""
        check("the demo stops on SIGTERM with 0", self.process.wait(30) == 0, self.process.returncode)


class Curl:
    def __init__(self, http):
        self.http = http

    def raw(self, method, text, *more, content_type="application/json"):
        """The HTTP status, the content type and the body of an answer."""
        done = subprocess.run(["curl", "-sS", "-m", "60", "-w", "\n%{http_code} %{content_type}", "-H",
                               f"content-type: {content_type}", *more, "--data-binary", "@-", self.url(method)],
                              input=text if isinstance(text, bytes) else text.encode(), capture_output=True, check=False)
        body, _, status = done.stdout.rpartition(b"\n")
        code, _, kind = status.decode().partition(" ")
        return int(code or 0), kind, body

    def call(self, method, **request):
        code, kind, body = self.raw(method, json.dumps(request))
        check(f"curl: {method} is answered as JSON", (code, kind) == (200, "application/json"), (code, kind, body))
        return json.loads(body)

    def url(self, method):
        return f"http://{self.http}/leasehold.v1.{method}"

    def watch(self, method, **request):
        """A stream. Yields each frame: its flags and its JSON."""
        process = subprocess.Popen(["curl", "-sSN", "-H", "content-type: application/connect+json", "--data-binary", "@-",
                                    self.url(method)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        process.stdin.write(frame(request))
        process.stdin.close()
        try:
            while head := process.stdout.read(5):
                flags, length = struct.unpack(">BI", head)
                yield flags, json.loads(process.stdout.read(length))
        finally:
            process.kill()
            process.wait()


def frame(request):
    body = json.dumps(request).encode()
    return struct.pack(">BI", 0, len(body)) + body


def story(curl, demo):
    done = subprocess.run(demo.line, shell=True, capture_output=True, text=True, timeout=60)
    check("the demo's own line for curl works", '"owner":"ACME-LIR"' in done.stdout, (done.stdout, done.stderr))
    found = curl.call("PrefixService/LookupAddress", address="203.0.113.5")
    check("curl: a lookup gives the lease", found["lease"]["owner"] == "ACME-LIR", found)

    order = {"prefix": BLOCK, "count": 2, "dnsName": "web.example", "requestId": "curl-4711"}
    first = curl.call("AllocationService/AllocateAddresses", **order)
    hosts = [row["address"] for row in first["addresses"]]
    check("curl: two addresses are allocated", len(hosts) == 2 and "repeated" not in first, first)
    again = curl.call("AllocationService/AllocateAddresses", **order)
    check("curl: the same request again gives the same addresses",
          [row["address"] for row in again["addresses"]] == hosts and again["repeated"], again)
    # The names of the proto files are taken as well, as curl's users copy them from the comments.
    snake_case = {"prefix": BLOCK, "count": 2, "dns_name": "web.example", "request_id": "curl-4711"}
    again = curl.call("AllocationService/AllocateAddresses", **snake_case)
    check("curl: names with underscores mean the same", again.get("repeated"), again)

    leases = curl.call("LeaseService/ListLeases")["leases"]
    check("curl: the leases are listed", {"192.0.2.0/24", BLOCK} <= {lease["prefix"] for lease in leases}, leases)
    before = curl.call("LeaseService/GetLease", prefix="192.0.2.0/24")["lease"]
    would = curl.call("LeaseService/RenewLease", prefix="192.0.2.0/24", expiryDate=day(days(800)), validateOnly=True)
    check("curl: a renewal is tried", would["lease"]["expiryDate"] == day(days(800)), would)
    after = curl.call("LeaseService/GetLease", prefix="192.0.2.0/24")["lease"]
    check("curl: and nothing is written", after["etag"] == before["etag"], after)

    frames = curl.watch("EventService/WatchEvents", within=BLOCK, skipSnapshot=True)
    flags, item = next(frames)
    check("curl: a stream begins at once", flags == 0 and "synced" in item, item)
    released = curl.call("AllocationService/ReleaseAddresses", allocationRequestId="curl-4711")
    check("curl: the addresses are released", len(released["addresses"]) == 2, released)
    for index in range(2):
        flags, item = next(frames)
        check(f"curl: release {index + 1} is in the stream", item.get("event", {}).get("type") == "EVENT_TYPE_ADDRESS_RELEASED", item)
    return frames


def refusals(curl, demo, node):
    """Each request is refused alike by curl, grpcurl and Connect's client."""
    check("the client was refused each request", len(node) == len(REFUSALS), node)
    for (method, request, code, reason), seen in zip(REFUSALS, node, strict=False):
        stream = "Watch" in method
        if stream:
            _, _, body = curl.raw(method, frame(request), content_type="application/connect+json")
            error = json.loads(body[5:])["error"]
        else:
            status, kind, body = curl.raw(method, json.dumps(request))
            check(f"curl: {reason} is an error of HTTP", status >= 400 and kind == "application/json", (status, kind))
            error = json.loads(body)
        info = next(detail for detail in error["details"] if detail["type"] == "google.rpc.ErrorInfo")
        mine = (error["code"], info["debug"]["reason"], info["debug"]["domain"])
        check(f"curl: {reason}", mine == (code, reason, "leasehold"), error)
        check(f"Connect's client: {reason}", tuple(seen) == (code, reason, error["message"]), seen)
        done = subprocess.run([GRPCURL, "-plaintext", "-d", json.dumps(request), demo.grpc, f"leasehold.v1.{method}"],
                              capture_output=True, text=True, timeout=60)
        said = (re.search(r"Code: (\w+)", done.stderr), re.search(r'"reason":\s*"(\w+)"', done.stderr))
        said = tuple(found.group(1) if found else None for found in said)
        check(f"grpcurl: {reason}", (snake(said[0] or ""), said[1]) == (code, reason), done.stderr)


def connect_client(demo, directory):
    """The story with Connect's client, whose types are made from the protos. Returns how it was refused."""
    shutil.copy(ROOT / "tests/e2e/connect/story.mjs", directory)
    (directory / "node_modules").symlink_to(TOOLS / "node_modules")
    (directory / "package.json").write_text('{"type": "module"}')
    plugin = {"local": str(TOOLS / "node_modules/.bin/protoc-gen-es"), "out": str(directory / "gen"),
              "opt": ["target=js+dts", "import_extension=js"]}
    template = json.dumps({"version": "v2", "plugins": [plugin]})
    made = subprocess.run([TOOLS / "node_modules/.bin/buf", "generate", ROOT / "proto", "--template", template],
                          capture_output=True, text=True, timeout=120)
    check("buf makes the client's types from the protos", made.returncode == 0, made.stderr)
    requests = [(method, request) for method, request, *_ in REFUSALS]
    done = subprocess.run(["node", "story.mjs", f"http://{demo.http}", json.dumps(requests), days(800)], cwd=directory,
                          capture_output=True, text=True, timeout=120)
    lines = done.stdout.splitlines()
    print("\n".join(line for line in lines if not line.startswith("refused ")), flush=True)
    check("the client's story ends well", done.returncode == 0, (done.stdout, done.stderr))
    return [json.loads(line.removeprefix("refused ")) for line in lines if line.startswith("refused ")]


def documented(demo, directory):
    """What docs/http.md shows: its lines for curl work, and its program fits the types."""
    text = (ROOT / "docs/http.md").read_text()
    console = re.search(r"```console\n(.*?)```", text, re.S).group(1)
    commands = console.replace("\\\n", " ").replace("127.0.0.1:50080", demo.http).split("$ ")[1:]
    check("docs/http.md has lines for curl", len(commands) == 3, commands)
    for command in commands:
        done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=60)
        answer = json.loads(done.stdout) if done.stdout.startswith("{") else {}
        check(f"a documented line works: {command.split('/')[-1].strip()}", answer and "code" not in answer, done)
    (directory / "example.ts").write_text(re.search(r"```ts\n(.*?)```", text, re.S).group(1))
    done = subprocess.run([TOOLS / "node_modules/.bin/tsc", "--noEmit", "--strict", "--skipLibCheck", "--module", "nodenext",
                           "--target", "es2022", "example.ts"], cwd=directory, capture_output=True, text=True, timeout=120)
    check("the documented program fits the types made from the protos", done.returncode == 0, done.stdout)


def not_for_browsers(curl):
    lookup = '{"address": "203.0.113.5"}'
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        status, *_ = curl.raw("PrefixService/LookupAddress", lookup, content_type=kind)
        check(f"what a page can send without a preflight is refused: {kind}", status == 415, status)
    status, _, body = curl.raw("PrefixService/LookupAddress", lookup, "-H", "origin: http://127.0.0.1:3000")
    check("a request of a page is refused", status == 403 and b"BROWSER_REFUSED" in body, (status, body))
    done = subprocess.run(["curl", "-sS", "-i", "-X", "OPTIONS", "-H", "origin: http://127.0.0.1:3000", "-H",
                           "access-control-request-method: POST", curl.url("PrefixService/LookupAddress")],
                          capture_output=True, text=True, timeout=60)
    check("a preflight is not answered", "access-control-" not in done.stdout.lower() and " 403 " in done.stdout, done.stdout)


demo = Demo()
curl = Curl(demo.http)
with tempfile.TemporaryDirectory() as name:
    watching = story(curl, demo)
    node = connect_client(demo, pathlib.Path(name))
    refusals(curl, demo, node)
    documented(demo, pathlib.Path(name))
    not_for_browsers(curl)
# The stream of curl's story is still open: it ends with the server, and says so.
demo.process.send_signal(signal.SIGTERM)
last = [body for flags, body in watching if flags == 2]
check("a stream ends with the reason when the server stops",
      len(last) == 1 and last[0]["error"]["code"] == "unavailable" and "SERVER_STOPPING" in json.dumps(last), last)
demo.end()
sys.exit(exit_code())
