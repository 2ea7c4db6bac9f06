"""Start-up logs of public servers: what they say of memory, and what we predict of it."""
