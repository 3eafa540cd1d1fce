"""A small base generator from nothing (`trcgl pretrain`); no stage of the pipeline uses it."""
