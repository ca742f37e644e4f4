#!/usr/bin/env bash
# Installs what tests/behaviour/pages.rs looks at the pages with, into target/page-tools. Besides, it uses Debian's chromium and
# node. Without them those tests are skipped, except where CI=true.
set -eu
cd "$(dirname "$0")/../.."
tools=target/page-tools
mkdir -p "$tools"
# playwright-core drives the browser that is there, and brings none; axe-core judges what a page is for people who cannot see it.
npm install --prefix "$tools" --no-audit --no-fund --silent playwright-core@1.65.1 axe-core@4.14.1
