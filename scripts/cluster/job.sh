#!/bin/bash
# A batch script that runs its arguments.
exec "$@"
