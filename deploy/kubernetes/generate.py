#!/usr/bin/env python3
"""Writes a PrometheusRule and ConfigMaps with dashboards, made from the folder `dashboards`, to stdout.

    python3 deploy/kubernetes/generate.py --namespace monitoring | kubectl apply --server-side -f -

The files in `dashboards` stay the only copies. Server-side, because a dashboard is longer than the annotation that
`kubectl apply` would otherwise keep it in.

The rules are for the Prometheus operator; give it the label that its `ruleSelector` asks for with --rule-label. The
dashboards are for a Grafana with the usual sidecar, which takes every ConfigMap with the label `grafana_dashboard`.
"""

import argparse
import json
import pathlib
import re
import sys

# etcd takes objects of 1.5 MB; ConfigMaps may hold 1 MiB.
CONFIG_MAP_BYTES_MAX = 1 << 20


def object_name(path):
    """A name that Kubernetes takes: lower case letters, digits and dashes."""
    stem = re.sub(r"[^a-z0-9]+", "-", path.stem.lower()).strip("-")
    return stem if stem.startswith("tailspan") else "tailspan-" + stem


def labels(pairs):
    parsed = dict(pair.split("=", 1) for pair in pairs)
    return {"app.kubernetes.io/name": "tailspan", **parsed}


def prometheus_rule(path, namespace, rule_labels):
    """The text of a rules file is the `spec` as it is, so it is put there by indenting it: nothing is lost or reordered."""
    text = path.read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.strip() not in ("---", "...")]
    if not any(line.startswith("groups:") for line in lines):
        sys.exit(f"{path}: no `groups:` at the beginning of a line, so this is no rules file")
    head = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": object_name(path), "namespace": namespace, "labels": rule_labels},
    }
    written = [f"{name}: {json.dumps(value)}" for name, value in head.items()]
    written.append("spec:")
    written += ["  " + line if line.strip() else "" for line in lines]
    return "\n".join(written)


def dashboard(path, namespace, dashboard_labels, folder):
    text = path.read_text(encoding="utf-8")
    json.loads(text)
    if len(text.encode()) > CONFIG_MAP_BYTES_MAX:
        sys.exit(f"{path}: {len(text.encode())} bytes do not fit into a ConfigMap")
    config_map = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": object_name(path),
            "namespace": namespace,
            "labels": dashboard_labels,
            "annotations": {"grafana_folder": folder},
        },
        # Grafana's sidecar writes all of them into one folder, beside those of others: `overview.json` is not ours alone.
        "data": {object_name(path) + ".json": text},
    }
    # JSON is YAML.
    return json.dumps(config_map, ensure_ascii=False)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    top = pathlib.Path(__file__).resolve().parents[2]
    parser.add_argument("--from", dest="source", type=pathlib.Path, default=top / "dashboards", metavar="DIR",
                        help="folder with *.json and rules/*.yaml [default: dashboards]")
    parser.add_argument("--namespace", default="monitoring", help="where the objects go [default: monitoring]")
    parser.add_argument("--folder", default="Claude Code", help="folder in Grafana [default: Claude Code]")
    parser.add_argument("--rule-label", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--dashboard-label", action="append", default=["grafana_dashboard=1"], metavar="NAME=VALUE")
    arguments = parser.parse_args()

    rules = sorted(arguments.source.glob("rules/*.yaml"))
    dashboards = sorted(arguments.source.glob("*.json"))
    if not rules and not dashboards:
        sys.exit(f"{arguments.source}: neither *.json nor rules/*.yaml")
    objects = [prometheus_rule(path, arguments.namespace, labels(arguments.rule_label)) for path in rules]
    objects += [dashboard(path, arguments.namespace, labels(arguments.dashboard_label), arguments.folder)
                for path in dashboards]
    print("\n---\n".join(objects))


if __name__ == "__main__":
    main()
