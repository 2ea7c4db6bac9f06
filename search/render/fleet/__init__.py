"""What a fleet's run leaves and prints, all from one ``FleetOutcome``."""
