"""One trainer for the baseline and the classifier: data, losses, sampling, schedule, calibration."""
