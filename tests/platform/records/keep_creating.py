"""A process of its own that creates jobs for one customer until it is killed: ``keep_creating.py URL CUSTOMER``."""

from __future__ import annotations

import itertools
import os
import sys

from ratoon.platform.access.actor import SYSTEM
from ratoon.platform.app import open_environment
from ratoon.platform.config import Settings
from ratoon.platform.plugins import Plugins

url, customer = sys.argv[1:]
environment = open_environment(Settings(database_url=url), plugins=Plugins(), apply_packages=False)
print("ready", flush=True)
for group in itertools.count():
    values = [{"name": f"{os.getpid()}-{group}-{n}", "customer": customer, "price": "10"} for n in range(50)]
    environment.transact(SYSTEM, lambda records, values=values: records.create("job", values))
    print(group, flush=True)
