"""Stage one: chest X-rays of rare findings drawn by text-guided latent diffusion with learned prompt tokens."""
