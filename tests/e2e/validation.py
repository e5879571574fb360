"""Checks and preflight on a real NetBox with a real StayRTR, IRRd and rbldnsd. RIPEstat and a geofeed are stand-ins."""

import datetime
import http.server
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

from stage import Stage, check, days, exit_code, free_port, until

# tests/peers/routing.py loads the route objects into IRRd.
BLOCK = "203.0.113.0/24"
VALID = {"prefix": BLOCK, "maxLength": 24, "asn": "AS64500", "ta": "test"}
ELSEWHERE = {"prefix": "198.51.100.0/24", "maxLength": 24, "asn": "AS64511", "ta": "test"}
ZONE = "bl.test"


class Outside:
    """A stand-in for RIPEstat with its documented answers, a geofeed, and a receiver of webhooks."""

    def __init__(self):
        self.origins = [64500]
        self.down = False
        self.notifications = []
        outside = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                url = urllib.parse.urlsplit(self.path)
                if url.path == "/geofeed.csv":
                    return self.answer(200, f"# RFC 8805\n{BLOCK},DE,DE-BE,Berlin,\n")
                if outside.down:
                    return self.answer(503, "try again later")
                now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")
                if url.path == "/data/bgp-state/data.json":
                    data = {"query_time": now, "bgp_state": [
                        {"target_prefix": BLOCK, "path": [64496, 64511, origin]} for origin in outside.origins]}
                elif url.path == "/data/routing-status/data.json":
                    data = {"query_time": now, "origins": [{"origin": origin} for origin in outside.origins],
                            "visibility": {"v4": {"ris_peers_seeing": 290, "total_ris_peers": 300}},
                            "more_specifics": [], "less_specifics": []}
                else:
                    return self.answer(404, "no such call")
                return self.answer(200, json.dumps({"status": "ok", "status_code": 200, "data": data}))

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                outside.notifications.append(json.loads(body))
                self.answer(200, "{}")

            def answer(self, status, text):
                self.send_response(status)
                self.send_header("content-length", str(len(text.encode())))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def roa_alerts(self, vrf):
        return [event["data"]["message"] for event in self.notifications
                if "roa_changed" in event["type"] and event["data"]["vrf_id"] == vrf]


class Routing:
    """A StayRTR and an rbldnsd, with files that the test can replace."""

    def __init__(self, directory):
        # Started as root, rbldnsd becomes another user, who must be able to read the zones.
        self.directory = directory
        directory.chmod(0o755)
        self.rtr, self.dns = free_port(), free_port()
        self.version = 0
        self.vrps(VALID, ELSEWHERE)
        self.write_zone()
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.processes = [
            subprocess.Popen([os.environ["LEASEHOLD_TEST_STAYRTR"], "-bind", f"127.0.0.1:{self.rtr}", "-cache",
                              str(directory / "vrps.json"), "-checktime=false", "-refresh", "1", "-metrics.addr",
                              f"127.0.0.1:{free_port()}"], cwd=directory, **quiet),
            subprocess.Popen([os.environ["LEASEHOLD_TEST_RBLDNSD"], "-n", "-b", f"127.0.0.1/{self.dns}", "-w",
                              str(directory), "-c", "1s", f"{ZONE}:ip4set:{ZONE}"], **quiet),
        ]

    def vrps(self, *vrps):
        new = self.directory / "vrps.new"
        new.write_text(json.dumps({"roas": vrps}))
        new.rename(self.directory / "vrps.json")

    def write_zone(self, *lines):
        """Writes the zone. An address outside the tested block shows which version of the file rbldnsd serves."""
        self.version += 1
        new = self.directory / "zone.new"
        new.write_text("\n".join(["127.0.0.2", *lines, f"198.18.0.{self.version}"]) + "\n")
        # rbldnsd compares times of files by the second.
        modified = time.time() + 2 * self.version
        os.utime(new, (modified, modified))
        new.rename(self.directory / ZONE)

    def listed(self, *lines):
        self.write_zone(*lines)
        until("rbldnsd serves the new zone", lambda: self.resolves(f"{self.version}.0.18.198.{ZONE}"))

    def resolves(self, name):
        """Whether rbldnsd has an A record for a name."""
        labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(1)
            client.sendto(b"\x00\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00" + labels + b"\x00\x00\x01\x00\x01",
                          ("127.0.0.1", self.dns))
            try:
                answer = client.recv(512)
            except OSError:
                return False
        return int.from_bytes(answer[6:8], "big") > 0

    def stop(self):
        for process in self.processes:
            process.terminate()
            process.wait(10)


SETTINGS = """
[[rpki.sources]]
kind = "rtr"
server = "127.0.0.1:{rtr}"

[irr]
authoritative = ["EXACT"]

[[irr.servers]]
server = "{irrd}"

[bgp]
source = "ripestat"

[ripestat]
url = "{outside}"

[dnsbl]
resolvers = ["127.0.0.1:{dns}"]

[[dnsbl.zones]]
name = "{zone}"
queries_per_second = 2000

[validation]
confirm_seconds = 0.2

[validation.preflight]
geofeed_allow_private = true

[allocation]
refuse_roa = ["invalid", "unknown"]

[[notify.sinks]]
name = "hook"
kind = "webhook"
url = "{outside}/hook"
secrets = ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]
allow_private = true
"""


class Validation(Stage):
    def run(self, directory):
        self.outside = Outside()
        self.routing = Routing(directory / "routing")
        settings = directory / "leasehold.toml"
        settings.write_text(SETTINGS.format(rtr=self.routing.rtr, dns=self.routing.dns, zone=ZONE,
                                            irrd=os.environ["LEASEHOLD_TEST_IRRD"], outside=self.outside.url))
        self.env["LEASEHOLD_CONFIG"] = str(settings)
        # A VRF of its own, because other tests leave their blocks in the global table.
        vrf = self.netbox.ipam.vrfs.create(name=f"validation-{time.time()}", enforce_unique=True)
        self.vrf = ["--vrf", str(vrf.id)]
        self.geofeed_field()
        self.leasehold("setup")
        shown = self.leasehold("config", "check")
        check("config check shows the sources and no secret",
              "[[rpki.sources]]" in shown and "whsec_" not in shown, shown)
        self.serve()
        try:
            self.every_check_passes()
            self.a_withdrawn_roa_blocks()
            self.a_listing_blocks()
            self.failed_sources_change_nothing()
        finally:
            self.stop()
            self.routing.stop()

    def geofeed_field(self):
        if not self.netbox.extras.custom_fields.get(name="geofeed"):
            self.netbox.extras.custom_fields.create(name="geofeed", type="url", object_types=["ipam.prefix"])

    def field(self, name):
        value = self.netbox.ipam.prefixes.get(self.id).custom_fields.get(name)
        # NetBox 4.7 gives choices as objects.
        return value["value"] if isinstance(value, dict) else value

    def asked(self, *arguments, code=0):
        return self.json(*arguments, *self.vrf, code=code)

    def reasons(self, found):
        return {finding["reason"]: finding for finding in found["findings"]}

    def alerts(self):
        return self.outside.roa_alerts(int(self.vrf[1]))

    def run_job(self, job):
        code, text = self.grpcurl("-d", json.dumps({"job": job, "wait": True}), self.grpc,
                                  "leasehold.v1.AdminService/TriggerCheck")
        check(f"{job} runs when triggered", code == 0, text)
        return json.loads(text) if code == 0 else {}

    def every_check_passes(self):
        lease = self.asked("lease", "register", BLOCK, "--owner", "ACME-LIR", "--start", days(-30), "--expiry", days(300),
                           "--loa", "LOA-2026-0481", "--origin-asn", "64500")["lease"]
        self.id = int(lease["prefixId"])
        # The registration starts the checks.
        until("roa_status is written back", lambda: self.field("roa_status") == "valid")
        until("irr_registered is written back", lambda: self.field("irr_registered") is True)
        until("reputation is written back", lambda: self.field("reputation") == "clean")
        check("roa_checked and reputation_checked are written back", self.field("roa_checked") and self.field("reputation_checked"))
        # NetBox takes no lock for a PATCH: a person who saves in the instant of a write-back would undo it, until the next round.
        prefix = self.netbox.ipam.prefixes.get(self.id)
        prefix.custom_fields = {"geofeed": f"{self.outside.url}/geofeed.csv"}
        prefix.save()

        valid = self.asked("validate", BLOCK, "--origin", "64500")
        check("validate says valid, and names the source and the ROA",
              (valid["state"], valid["source"], valid["matchingVrps"][0]["asn"]) ==
              ("ROUTE_STATE_VALID", f"rtr 127.0.0.1:{self.routing.rtr}", 64500), valid)
        other = self.asked("validate", BLOCK, "--origin", "64501", code=3)
        check("another origin is invalid", other["invalidReason"] == "INVALID_REASON_ORIGIN", other)
        self.asked("validate", "192.0.2.0/24", "--origin", "64500", code=3)
        self.leasehold("validate", "203.0.113.5/24", "--origin", "64500", code=1)
        irr = self.asked("irr", BLOCK)
        check("irr says registered, in an authoritative registry", irr["authoritative"], irr)
        clean = self.asked("reputation", BLOCK)
        check("reputation says clean, after asking about every address",
              clean["reputation"] == "REPUTATION_CLEAN" and "completeTime" in clean["zones"][0], clean)
        until("the geofeed's address is seen",
              lambda: "geofeed" in json.dumps(self.quiet("lookup", "203.0.113.1", *self.vrf)))
        until("the preflight has the reputation", lambda: "REPUTATION_CLEAN" in self.reasons(
            self.quiet("preflight", BLOCK, *self.vrf)))
        ready = self.asked("preflight", BLOCK)
        found = self.reasons(ready)
        check("preflight is READY", ready["state"] == "PREFLIGHT_STATE_READY", ready)
        for reason in ["LEASE_IN_FORCE", "LOA_RECORDED", "ROA_VALID", "IRR_REGISTERED", "BGP_ORIGIN_SEEN",
                       "REPUTATION_CLEAN", "GEOFEED_COVERS"]:
            check(f"preflight has the finding {reason}", reason in found, list(found))
        check("the finding about BGP names its source", found["BGP_ORIGIN_SEEN"]["source"] == "ripestat bgp-state", found)
        table = self.leasehold("preflight", BLOCK, *self.vrf)
        check("preflight prints a table", "READY" in table and "AS64500" in table, table)
        short = self.asked("preflight", BLOCK, "--announce", "203.0.113.0/25", code=3)
        check("a more specific prefix is checked by itself", "ROA_TOO_SHORT" in self.reasons(short), short)
        self.asked("preflight", BLOCK, "--min-days-left", "301", code=3)
        self.asked("allocate", "--prefix", BLOCK, "--count", "1", "--request-id", f"before-{self.id}")

    def a_withdrawn_roa_blocks(self):
        check("no alert was sent before the withdrawal", self.alerts() == [], self.alerts())
        self.routing.vrps(ELSEWHERE)
        until("a VRP withdrawn in StayRTR turns roa_status from valid to unknown",
              lambda: self.field("roa_status") == "unknown")
        listed = self.json("events", "list", "--type", "roa_changed", "--within", BLOCK)
        # Other tests leave leases of the same block in other VRFs.
        changes = [event["verdict"] for event in listed["events"] if event["verdict"]["lease"].get("vrf", {}).get("id") == self.vrf[1]]
        change = changes[0]
        check("the change is one event",
              (len(changes), change["roa"], change["message"]) ==
              (1, {"before": "ROA_STATUS_VALID", "after": "ROA_STATUS_UNKNOWN"}, f"no ROA covers {BLOCK}"), listed)
        until("one alert is sent", lambda: len(self.alerts()) == 1)
        blocked = self.asked("preflight", BLOCK, code=3)
        missing = self.reasons(blocked).get("ROA_MISSING", {})
        check("preflight is BLOCKED and says why and whom to ask", missing.get("severity") == "FINDING_SEVERITY_BLOCKING"
              and missing.get("action", "").startswith("Ask ACME-LIR to create a ROA"), blocked)
        table = self.leasehold("preflight", BLOCK, *self.vrf, code=3)
        check("its table says whom to ask", "BLOCKED" in table and "[the holder] Ask ACME-LIR" in table, table)
        until("the lease has the new verdict", lambda: self.quiet("lease", "show", BLOCK, *self.vrf).get("lease", {}).get("roaStatus") ==
              "ROA_STATUS_UNKNOWN")
        self.leasehold("allocate", "--prefix", BLOCK, "--request-id", f"after-{self.id}", *self.vrf, code=1)
        code, text = self.grpcurl("-d", json.dumps({"prefix": BLOCK, "vrf": {"id": self.vrf[1]}}), self.grpc,
                                  "leasehold.v1.AllocationService/AllocateAddresses")
        check("AllocateAddresses is refused by policy, with the reason", code != 0 and "ROA_REFUSED" in text, text)
        self.routing.vrps(VALID, ELSEWHERE)
        until("roa_status is valid again when the VRP is back", lambda: self.field("roa_status") == "valid")
        until("the lease has the verdict again", lambda: self.quiet("lease", "show", BLOCK, *self.vrf).get("lease", {}).get("roaStatus") ==
              "ROA_STATUS_VALID")
        self.asked("allocate", "--prefix", BLOCK, "--request-id", f"after-{self.id}")
        until("a second alert is sent", lambda: len(self.alerts()) == 2)

    def a_listing_blocks(self):
        self.routing.listed(*[f"203.0.113.{last} :127.0.0.2:seen spamming" for last in range(9)])
        found = self.asked("reputation", BLOCK, code=3)
        check("reputation names each address and why", len(found["listings"]) == 9 and
              found["listings"][0]["text"] == "seen spamming", found)
        self.run_job("validation.reputation")
        check("one check does not change the verdict", self.field("reputation") == "clean", self.field("reputation"))
        self.run_job("validation.reputation")
        check("a second check does", self.field("reputation") == "listed", self.field("reputation"))
        recorded = self.asked("reputation", BLOCK, "--recorded", code=3)
        check("the recorded listing is one since the lease began",
              all(listing["inherited"] is False for listing in recorded["listings"]), recorded)
        blocked = self.asked("preflight", BLOCK, code=3)
        check("a listing makes preflight BLOCKED", "REPUTATION_LISTED" in self.reasons(blocked), blocked)
        self.leasehold("allocate", "--prefix", BLOCK, "--request-id", f"listed-{self.id}", *self.vrf, code=1)
        self.routing.listed()
        self.run_job("validation.reputation")
        self.run_job("validation.reputation")
        check("reputation is clean after the delisting", self.field("reputation") == "clean", self.field("reputation"))

    def failed_sources_change_nothing(self):
        self.outside.origins = [64500, 64501]
        found = self.reasons(self.asked("preflight", BLOCK))
        check("another origin in BGP is a warning", found["BGP_OTHER_ORIGIN"]["severity"] == "FINDING_SEVERITY_WARNING", found)
        self.outside.down = True
        found = self.reasons(self.asked("preflight", BLOCK))
        check("a failure of RIPEstat is reported and does not block", "COULD_NOT_CHECK" in found, found)
        for process in self.routing.processes:
            process.kill()
        self.run_job("validation.reputation")
        check("blocklists that do not answer change no verdict", self.field("reputation") == "clean", self.field("reputation"))
        self.leasehold("reputation", "203.0.113.77", *self.vrf, code=1)
        valid = self.asked("validate", BLOCK)
        check("VRPs outlive the connection until they expire", valid["state"] == "ROUTE_STATE_VALID", valid)
        check("the two changes led to two alerts", len(self.alerts()) == 2, self.alerts())
        rtr = f"rtr 127.0.0.1:{self.routing.rtr}"
        until("status has the problem of the source that fails", lambda: any(
            source["name"] == rtr and source.get("lastFailure") for source in self.quiet("status").get("sources", [])))
        status = self.leasehold("status")
        check("status names the source that fails", rtr in status, status)


with tempfile.TemporaryDirectory() as directory:
    path = pathlib.Path(directory)
    path.chmod(0o755)
    (path / "routing").mkdir()
    Validation(directory).run(path)
sys.exit(exit_code())
