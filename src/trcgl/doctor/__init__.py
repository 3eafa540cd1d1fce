"""`trcgl doctor`: what would stop a long run, found in seconds."""
