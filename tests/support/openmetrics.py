"""Reads a scrape as the parsers of PyPI's prometheus-client do, and prints it as JSON.

The OpenMetrics parser is the strict one: it refuses what the specification forbids.
"""

import json
import sys

from prometheus_client import openmetrics, parser
from prometheus_client.openmetrics import parser as strict
from prometheus_client.utils import floatToGoString


def sample(sample):
    labels = dict(sample.labels)
    bound = labels.pop("le", None)
    exemplar = sample.exemplar
    return {
        "name": sample.name,
        "labels": labels,
        "le": bound,
        "canonical_le": bound and floatToGoString(float(bound)),
        "value": sample.value,
        "exemplar": exemplar
        and {"labels": exemplar.labels, "value": exemplar.value, "time": float(exemplar.timestamp)},
    }


reads = {"openmetrics": strict, "text": parser}[sys.argv[1]].text_string_to_metric_families
families = [
    {
        "name": family.name,
        "type": family.type,
        "unit": family.unit,
        "help": family.documentation,
        "samples": [sample(one) for one in family.samples],
    }
    for family in reads(sys.stdin.read())
]
json.dump(families, sys.stdout)
