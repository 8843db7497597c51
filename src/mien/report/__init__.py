"""The report of a run: everything its folder knows, in one page that needs nothing else."""
