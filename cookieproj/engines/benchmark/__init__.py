"""Measures what a request costs on each session engine, with the stores of this site."""
