"""The run as one page that any browser opens."""
