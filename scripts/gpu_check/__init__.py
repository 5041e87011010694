"""What can only be checked on a machine with GPUs: scripts/gpu-check.sh."""
