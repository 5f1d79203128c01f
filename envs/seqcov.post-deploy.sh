#!/usr/bin/env bash
# igv.js for index.html, without the packages that its package requires (requirements-igv.txt).
set -euo pipefail
pip install --no-deps igv-notebook==0.6.2
