"""`trcgl doctor`: find in seconds what would stop a long run."""
