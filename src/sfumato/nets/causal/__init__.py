"""Networks that predict tokens from those before them, and the orders in which they come."""
