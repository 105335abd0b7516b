"""Training: a loop that knows players and yields events, and what makes it stop, resume and keep."""
