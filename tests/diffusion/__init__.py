"""The laws of `sfumato.diffusion`, each over all the pieces of its kind."""
