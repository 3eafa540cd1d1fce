"""What every stage needs to run: readable errors, atomic files, resumable state, logs, figures."""
