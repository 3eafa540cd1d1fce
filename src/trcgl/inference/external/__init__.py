"""`trcgl evaluate`: evaluate saved classifiers on an external test set, with the same code as the pipeline stages."""
