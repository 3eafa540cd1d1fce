"""`trcgl init`: a params.yaml for a data set at a scale."""
