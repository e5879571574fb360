"""A real NetBox from PyPI, on a database restored from a dump of the migrated empty one."""

import json
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request

from .place import CACHE, Locked, Missing, free_port, run, venv

# Independent implementations, with which the tests check what Leasehold sends and writes.
CLIENTS = ["pynetbox==7.9.0", "icalendar==7.3.2", "standardwebhooks==1.1.0", "aiosmtpd==1.4.6"]
VERSION = os.environ.get("LEASEHOLD_TEST_NETBOX_VERSION", "4.7.3")

CONFIGURATION = """
ALLOWED_HOSTS = ['*']
DATABASES = {{'default': {{
    'ENGINE': 'django.db.backends.postgresql', 'NAME': '{database}', 'USER': 'postgres', 'PASSWORD': '',
    'HOST': '127.0.0.1', 'PORT': {postgres}, 'CONN_MAX_AGE': 300,
}}}}
REDIS = {{name: {{'HOST': '127.0.0.1', 'PORT': {redis}, 'DATABASE': number, 'SSL': False}}
         for number, name in enumerate(('tasks', 'caching'), {first_redis})}}
SECRET_KEY = 'only-for-tests-' * 5
API_TOKEN_PEPPERS = {{1: 'only-for-tests-' * 5}}
CHANGELOG_RETENTION = 0
# A client that does not ask for English gets German error texts, so every test proves that Leasehold's asks.
DEFAULT_LANGUAGE = 'de'
"""

# What a NetBox with rules of its house adds: rules of the administrator, in his words, against creations and deletions.
HOUSE_RULES = """
from extras.validators import CustomValidator

class UniqueName(CustomValidator):
    def validate(self, instance, request):
        from ipam.models import IPAddress
        name = instance.dns_name
        if not name.endswith('.unique.example'):
            return
        if IPAddress.objects.filter(dns_name=name).exclude(pk=instance.pk).exists():
            self.fail('House rule: a name must be unique, and another address bears ' + name, field='dns_name')

CUSTOM_VALIDATORS = {{
    'ipam.ipaddress': [
        {{'dns_name': {{'required': True}}, 'description': {{'regex': '^[A-Z]{{2,5}}-[0-9]+$'}}}}, UniqueName(),
    ],
    'ipam.prefix': [{{'description': {{'min_length': 5}}}}],
}}
PROTECTION_RULES = {{
    'ipam.ipaddress': [{{'status': {{'eq': 'deprecated'}}}}], 'ipam.prefix': [{{'status': {{'eq': 'deprecated'}}}}],
}}
"""

# Run in NetBox's own shell: creates users with their permissions and tokens.
TOKENS = """
import json
from django.contrib.auth import get_user_model
from django.contrib.contenttypes.models import ContentType
from users.models import ObjectPermission, Token
users = get_user_model()
admin, _ = users.objects.get_or_create(username='admin', defaults={'is_superuser': True, 'is_active': True})
def v2(user, **more):
    token = Token(user=user, version=2, **more)
    token.save()
    return 'nbt_%s.%s' % (token.key, token.token)
v1 = Token(user=admin, version=1)
v1.save()
powerless = users.objects.create(username='powerless', is_active=True)
minimal = users.objects.create(username='minimal', is_active=True)
for app, model, actions in [
    ('ipam', 'prefix', 'view add change delete'), ('ipam', 'ipaddress', 'view add delete'),
    ('ipam', 'iprange', 'view'), ('ipam', 'vrf', 'view'), ('ipam', 'role', 'view'), ('tenancy', 'tenant', 'view'),
    ('extras', 'tag', 'view'), ('core', 'objectchange', 'view'),
    ('extras', 'customfield', 'view add change'), ('extras', 'customfieldchoiceset', 'view add'),
]:
    permission = ObjectPermission.objects.create(name='minimal %s %s' % (app, model), actions=actions.split())
    permission.object_types.add(ContentType.objects.get(app_label=app, model=model))
    permission.users.add(minimal)
print('TOKENS ' + json.dumps({
    'TOKEN': v2(admin), 'TOKEN_V1': v1.plaintext, 'TOKEN_READONLY': v2(admin, write_enabled=False),
    'TOKEN_POWERLESS': v2(powerless), 'TOKEN_MINIMAL': v2(minimal),
}))
"""


class NetBox:
    """One installation. `name` is that of its database and directory, `rules` what its configuration adds."""

    def __init__(self, directory, postgres, redis, name="netbox", rules="", workers=3, first_redis=0):
        with Locked():
            self.venv = venv(f"netbox-{VERSION}", f"netbox=={VERSION}", "gunicorn")
            self.clients = venv("clients", *CLIENTS)
        self.directory = directory / name
        self.name, self.workers = name, workers
        self.directory.mkdir()
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        text = (CONFIGURATION + rules).format(database=name, postgres=postgres.port, redis=redis.port,
                                               first_redis=first_redis)
        (self.directory / "leasehold_netbox.py").write_text(text)
        self.env = {**os.environ, "PYTHONPATH": str(self.directory), "NETBOX_CONFIGURATION": "leasehold_netbox",
                    "NETBOX_ROOT": str(self.directory), "HOME": str(self.directory)}
        postgres.sql(f"CREATE DATABASE {name}")
        self._migrated(postgres)
        self.tokens = self._tokens()
        self.process = None
        self.start()

    def _migrated(self, postgres):
        """The migrated empty database: from the cache, or made once (4 to 5 minutes)."""
        dump = CACHE / f"netbox-{VERSION}-postgresql-{postgres.major}.dump"
        with Locked():
            if dump.exists():
                postgres.restore(self.name, dump)
                return
            print("  migrating NetBox's database, once (4 to 5 minutes) ...", flush=True)
            run([self.venv / "bin/netbox", "migrate"], env=self.env, log=self.directory / "migrate.log")
            postgres.dump(self.name, dump)

    def _tokens(self):
        output = run([self.venv / "bin/netbox", "shell"], env=self.env, input=TOKENS)
        for line in output.splitlines():
            if "TOKENS {" in line:
                return json.loads(line[line.index("{"):])
        raise Missing(f"NetBox's shell made no tokens:\n{output[-2000:]}")

    def start(self):
        with open(self.directory / "gunicorn.log", "ab") as log:
            self.process = subprocess.Popen(
                [self.venv / "bin/gunicorn", "netbox.wsgi", "-b", f"127.0.0.1:{self.port}", "-w", str(self.workers),
                 "--threads", "3", "--timeout", "120"],
                env=self.env, cwd=self.directory, stdout=log, stderr=log, start_new_session=True)
        until = time.monotonic() + 300
        while time.monotonic() < until:
            if self.process.poll() is not None:
                break
            try:
                urllib.request.urlopen(f"{self.url}/api/", timeout=10)
                return
            except urllib.error.HTTPError:
                return  # It answers, and asks for a token, as it should.
            except OSError:
                time.sleep(0.3)
        raise Missing(f"NetBox did not start; see {self.directory / 'gunicorn.log'}")

    def stop(self):
        os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)

    def load(self, prefixes, addresses):
        """Bulk-loads space past the API, for the bench."""
        script = LOAD.format(prefixes=prefixes, addresses=addresses)
        return run([self.venv / "bin/netbox", "shell"], env=self.env, input=script)


LOAD = """
from ipam.models import IPAddress, Prefix
import netaddr
base = int(netaddr.IPAddress('10.0.0.0'))
Prefix.objects.bulk_create([
    Prefix(prefix=netaddr.IPNetwork((base + n * 256, 24)), status='active',
           custom_field_data={{'lease_owner': 'LIR-%d' % (n % 97), 'lease_expiry': '20%d-06-01' % (27 + n % 9)}})
    for n in range({prefixes})], batch_size=2000)
IPAddress.objects.bulk_create([
    IPAddress(address=netaddr.IPNetwork('%s/24' % netaddr.IPAddress(base + (n % {prefixes}) * 256 + 1 + n // {prefixes})),
              status='active', dns_name='host-%d.customer.example' % n)
    for n in range({addresses})], batch_size=2000)
print('LOADED', Prefix.objects.count(), IPAddress.objects.count())
"""
