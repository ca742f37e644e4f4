#!/usr/bin/env bash
# Installs what tests/behaviour/deploy.rs compares the files in deploy/ with, and the program that tests/behaviour/ccusage.rs
# compares sums with, into target/deploy-tools. Without it those tests are skipped, except where CI=true. Besides, they use:
# promtool, systemd-analyze, nginx, node.
set -eu
cd "$(dirname "$0")/../.."
tools=target/deploy-tools
mkdir -p "$tools"
python3 -m venv "$tools/venv"
# compose-spec parses compose files strictly; kubernetes-validate ships the schemas of Kubernetes.
"$tools/venv/bin/pip" install --quiet PyYAML==6.0.3 compose-spec==0.2.1 kubernetes-validate==1.37.0
# Schemas of the Prometheus operator's resources; and ccusage, the best known program that adds up the same files.
npm install --prefix "$tools" --no-audit --no-fund --silent @kubernetes-models/prometheus-operator@6.0.0 \
  ccusage@20.0.24
