"""Faces that mien draws itself: for the demo, the documentation and tests, with nobody's picture in them."""
