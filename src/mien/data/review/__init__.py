"""A page on this machine to look at doubtful labels and decide on each with a key; it edits corrections.csv."""
