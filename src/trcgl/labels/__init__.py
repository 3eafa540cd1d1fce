"""From a data set's label file to the project's own tables: each image's patient, split, findings and file."""
