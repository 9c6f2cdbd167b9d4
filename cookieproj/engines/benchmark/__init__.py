"""What a request costs on each session engine, on the stores that this site is set up with."""
