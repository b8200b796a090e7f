"""Holds a bill of materials on standard input against the official schema of CycloneDX 1.6, strictly."""

import sys

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

text = sys.stdin.read()
fault = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
if fault is not None:
    sys.exit(f"the bill of materials breaks the schema: {fault}")
# What the schema can't know: that the validator would have found something.
if JsonStrictValidator(SchemaVersion.V1_6).validate_str(text.replace('"machine-learning-model"', '"model"')) is None:
    sys.exit("the validator takes anything")
