#!/usr/bin/env bash
# Runs a Python test with the system's interpreter, whatever python3 the PATH names.
exec /usr/bin/python3 "$@"
