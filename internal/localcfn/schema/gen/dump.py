"""Print cfn-lint's CloudFormation provider schemas, one JSON object a line.

The first line is {"version": ...}. A type is taken from us-east-1 where it
exists there, else from the first region that has it.
"""

import json
from importlib.metadata import version

from cfnlint.helpers import REGIONS
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER as manager

print(json.dumps({"version": version("cfn-lint")}))
seen = set()
for region in ["us-east-1"] + sorted(REGIONS):
    for name in sorted(manager.get_resource_types(region)):
        if name in seen or name == "Module":
            continue
        seen.add(name)
        body = manager.get_resource_schema(region, name).schema
        print(json.dumps(body, sort_keys=True, separators=(",", ":")))
