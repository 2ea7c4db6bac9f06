"""Several models on one fleet: what the user wrote (``conf/fleet``), as records."""
