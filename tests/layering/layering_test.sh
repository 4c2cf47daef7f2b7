#!/usr/bin/env bash
# Runs the layering check over the checkout that this test was built from.
set -euo pipefail

# In the runfiles, WORKSPACE is a link to the one at the top of the tree.
root=$(dirname "$(readlink -f WORKSPACE)")
[[ -f "$root/tools/lint/layering.py" ]] || {
  echo "cannot find the tree: WORKSPACE leads to $root" >&2
  exit 1
}
exec /usr/bin/python3 tools/lint/layering.py "$root"
