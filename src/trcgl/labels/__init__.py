"""From a data set's label file to the project's own tables: who, which split, which findings, which file."""
