"""`trcgl evaluate`: saved classifiers on a test set from elsewhere, through the same parts as the stages."""
