"""What scripts/recount.py is made of. It shares no code with the report: only the files of a run, and the rules that are written down."""
