"""What pages draw: the frame around them, tiles, chips, filters, the detail view; one look for all."""
