"""Words as numbers: tokenizers learned from a run's own captions, and encoders that others trained."""
