"""Networks: plain functions of tensors that know nothing of noise, data or training."""
