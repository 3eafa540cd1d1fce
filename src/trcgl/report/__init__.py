"""The report of a run as one page that any browser can open."""
