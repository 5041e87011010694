"""What scripts/recount.py is made of. It shares with the report the files of a run, and no code."""
