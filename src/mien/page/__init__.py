"""Pages for people: the look that all reports share, in one file that loads nothing from anywhere."""
