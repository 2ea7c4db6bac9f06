"""What a user says of split plans."""
