"""What every stage needs to run: errors a person can read, atomic files, resumable state, logs, figures."""
