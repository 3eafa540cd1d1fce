"""Picture files of every kind, each with the greys that must be read from it; tests/test_pixel_matrix.py reads them."""
