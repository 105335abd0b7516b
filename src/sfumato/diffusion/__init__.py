"""The mathematics of noising and denoising; it knows no data set, no trainer and no network."""
