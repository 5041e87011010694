"""The models of the demos: ``python -m rrr_demos.tiny`` and ``python -m rrr_demos.smollm2``. No worker imports them."""
