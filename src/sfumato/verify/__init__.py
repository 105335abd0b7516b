"""The proof that every piece of `sfumato.diffusion` is right, which a user can run on their own machine."""
