"""What a two-layer network computes: activations, losses and the passes, as pure functions of named arrays."""
