"""The energy network, its score in closed form, and what they are built from."""
