"""Reads pages of metrics with the parser of Prometheus' own Python client.

Usage: metrics.py HOST:PORT...
"""

import sys

import httpx
from prometheus_client.parser import text_string_to_metric_families

KINDS = {"counter", "gauge", "histogram"}
names = set()
for address in sys.argv[1:]:
    answer = httpx.get(f"http://{address}/metrics", timeout=30)
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4"), answer.headers
    page_names = set()
    for family in text_string_to_metric_families(answer.text):
        assert family.type in KINDS and family.documentation, family
        assert family.name not in page_names, f"{family.name} is there twice"
        page_names.add(family.name)
        seen = set()
        for sample in family.samples:
            series = (sample.name, tuple(sorted(sample.labels.items())))
            assert series not in seen, f"{series} is there twice"
            seen.add(series)
            # The parser takes the ending off the name of a counter, and puts it on again.
            assert family.type != "counter" or f"{sample.name} " in answer.text or (
                f"{sample.name}{{" in answer.text
            ), sample
        if family.type == "histogram":
            buckets = {}
            for sample in family.samples:
                key = tuple(sorted((k, v) for k, v in sample.labels.items() if k != "le"))
                if sample.name.endswith("_bucket"):
                    buckets.setdefault(key, []).append((float(sample.labels["le"]), sample.value))
            for key, row in buckets.items():
                assert row == sorted(row) and row[-1][0] == float("inf"), (family.name, key, row)
                counts = [count for _, count in row]
                assert counts == sorted(counts), (family.name, key, counts)
    names |= page_names
expected = {"rpc_server_call_duration_seconds", "rpc_client_call_duration_seconds"}
expected |= {"mesh_decisions", "mesh_signal_age_seconds", "mesh_registry_leases"}
assert expected <= names, expected - names
print("ok")
