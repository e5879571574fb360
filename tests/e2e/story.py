"""The main job and the examples of the documents against a real NetBox. After each step pynetbox reads what NetBox holds."""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import uuid

from stage import BINARY, GRPCURL, URL, Stage, check, exit_code, until

ROOT = pathlib.Path(__file__).parents[2]
# The documents whose lines with `leasehold` tell one story, so that they can be run in turn.
TRANSCRIPTS = ["README.md", "quickstart.md"]


class Story(Stage):
    def run(self):
        self.setup()
        self.serve()
        try:
            self.main_job()
            self.with_grpcurl()
            self.documents()
        finally:
            self.stop()

    def setup(self):
        needs = self.leasehold("setup", "--print-permissions")
        check("permissions are printed", "ipam.ipaddress" in needs and "delete" in needs, needs)
        plan = self.leasehold("setup", "--dry-run")
        check("a plan is printed", "lease_owner" in plan, plan)
        self.leasehold("setup")
        again = self.leasehold("setup")
        check("setup is idempotent", "Nothing to do" in again, again)
        field = self.netbox.extras.custom_fields.get(name="allocation_id")
        check("allocation_id is unique in NetBox", field.unique is True, field)
        types = sorted(self.netbox.extras.custom_fields.get(name="allocation_id").object_types)
        check("allocation_id is on addresses and prefixes", types == ["ipam.ipaddress", "ipam.prefix"], types)
        readonly = {**self.env, "LEASEHOLD_NETBOX__TOKEN": os.environ["LEASEHOLD_TEST_NETBOX_TOKEN_READONLY"]}
        done = subprocess.run([BINARY, "setup"], env=readonly, capture_output=True, text=True, timeout=60)
        lacks = "lacks permissions" in done.stderr and "ipam.ipaddress: add, delete" in done.stderr
        check("setup reports what a read-only token lacks", done.returncode == 3 and lacks, (done.returncode, done.stderr))
        wrong = {**self.env, "LEASEHOLD_NETBOX__TOKEN": "nbt_aaaaaaaaaaaa." + "b" * 40}
        done = subprocess.run([BINARY, "setup"], env=wrong, capture_output=True, text=True, timeout=60)
        check("setup reports a wrong token", done.returncode == 1 and "does not accept the token" in done.stderr, done.stderr)
        wrong = {**self.env, "LEASEHOLD_NETBOX__URL": URL + "/login"}
        done = subprocess.run([BINARY, "setup"], env=wrong, capture_output=True, text=True, timeout=60)
        check("setup reports a wrong URL", done.returncode == 1 and "is the base URL right?" in done.stderr, done.stderr)

    def main_job(self):
        block = "203.0.113.0/24"
        self.leasehold("lease", "register", block, "--owner", "ACME-LIR", "--start", "2026-06-01", "--expiry",
                       "2027-06-01", "--loa", "LOA-2026-0481", "--origin-asn", "64500")
        prefix = self.netbox.ipam.prefixes.get(prefix=block, vrf_id="null")
        fields = prefix.custom_fields
        check("pynetbox reads the lease",
              (fields["lease_owner"], fields["lease_expiry"], fields["loa_reference"], fields["origin_asn"])
              == ("ACME-LIR", "2027-06-01", "LOA-2026-0481", 64500), fields)

        request = f"story-{uuid.uuid4().hex}"
        allocate = ["allocate", "--prefix", block, "--count", "3", "--description", "web", "--dns-name", "web.example",
                    "--request-id", request]
        first = self.json(*allocate)
        hosts = [row["address"] for row in first.get("addresses", [])]
        check("three addresses are allocated", len(hosts) == 3, first)
        again = self.json(*allocate)
        check("the same request again gives the same addresses", [row["address"] for row in again.get("addresses", [])] == hosts, again)
        seen = list(self.netbox.ipam.ip_addresses.filter(cf_allocation_id=[f"{request}/{n}" for n in range(3)]))
        check("pynetbox reads the same three addresses",
              sorted(map(str, seen)) == sorted(hosts) and {ip.dns_name for ip in seen} == {"web.example"}, seen)

        host = hosts[0].split("/")[0]
        found = self.json("lookup", host)["results"][0]
        check("lookup gives the lease and the record",
              found["lease"]["owner"] == "ACME-LIR" and found["records"][0]["dnsName"] == "web.example", found)

        ip = self.netbox.ipam.ip_addresses.get(address=hosts[0], vrf_id="null")
        ip.description = "changed by hand"
        ip.save()
        times = []
        until("a change made with pynetbox is in lookup",
              lambda: self.looked_up(host)["records"][0].get("description") == "changed by hand", times)
        made = self.netbox.ipam.ip_addresses.create(address="203.0.113.200/24", description="by hand")
        until("an address made with pynetbox is in lookup",
              lambda: self.records("203.0.113.200"), times)
        made.delete()
        until("an address deleted with pynetbox is no longer in lookup",
              lambda: self.records("203.0.113.200") == [], times)
        # The median, so that one pause of a busy machine is not taken for the server's.
        check("changes made with pynetbox are in lookup within 3 s", sorted(times)[1] < 3, times)

        self.leasehold("release", "--allocation", request)
        left = list(self.netbox.ipam.ip_addresses.filter(cf_allocation_id=[f"{request}/{n}" for n in range(3)]))
        check("pynetbox finds no released address", left == [], left)
        self.leasehold("lookup", "192.0.2.1", code=1)
        self.leasehold("allocate", "--prefix", "203.0.113.5/24", code=1)
        self.leasehold("allocate", "--count", "1", code=2)
        self.leasehold("no-such-command", code=2)

    def with_grpcurl(self):
        code, listed = self.grpcurl(self.grpc, "list")
        services = ["leasehold.v1.AdminService", "leasehold.v1.AllocationService", "leasehold.v1.LeaseService",
                    "leasehold.v1.PrefixService", "leasehold.v1.EventService", "leasehold.v1.NotificationService",
                    "grpc.health.v1.Health"]
        check("grpcurl lists every service", code == 0 and all(name in listed for name in services), listed)
        for service in services[:-1]:
            code, described = self.grpcurl(self.grpc, "describe", service)
            check(f"grpcurl describes {service}", code == 0 and "rpc" in described, described)
            code, health = self.grpcurl("-d", json.dumps({"service": service}), self.grpc, "grpc.health.v1.Health/Check")
            check(f"{service} is healthy", '"SERVING"' in health, health)

    def documents(self):
        """Every line of a document that begins with `$` and calls the API or the program, as a reader would type it."""
        for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
            if path.name == "http.md":
                continue  # connect.py runs its lines against the demo, as it says.
            name = path.relative_to(ROOT)
            for line, refused in examples(path.read_text()):
                if line.startswith("leasehold ") and name.name not in TRANSCRIPTS:
                    continue
                done = subprocess.run(self.typed(line), shell=True, env=self.env, capture_output=True, text=True, timeout=60)
                check(f"{name}: {line[:100]} {'is refused' if refused else 'works'}", (done.returncode != 0) == refused,
                      (line, done.returncode, done.stdout, done.stderr))

    def typed(self, line):
        line = line.replace("127.0.0.1:50051", self.grpc).replace("127.0.0.1:50080", self.http)
        program, rest = line.split(" ", 1)
        programs = {"grpcurl": GRPCURL, "curl": "curl --silent --show-error --fail-with-body", "leasehold": BINARY}
        return f"{programs[program]} {rest}"


def examples(text):
    """The lines that a reader types, and for each whether the document shows an error as its answer."""
    found, latest = [], None
    for line in text.replace("\\\n", " ").splitlines():
        typed = re.match(r"\$ ((?:grpcurl|curl|leasehold) .*)", line)
        if typed:
            latest = [typed.group(1), False]
            found.append(latest)
        elif line.startswith("```"):
            latest = None
        elif line.startswith("error: ") and latest:
            latest[1] = True
    return found


with tempfile.TemporaryDirectory() as directory:
    Story(directory).run()
sys.exit(exit_code())
