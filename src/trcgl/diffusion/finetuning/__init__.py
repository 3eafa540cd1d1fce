"""Teaching a base generator the rare findings: the loop, its loss, and a check on validation images."""
