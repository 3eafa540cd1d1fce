"""The results of a study's runs: metrics, paired differences, a table and a figure. No run depends on this package."""
