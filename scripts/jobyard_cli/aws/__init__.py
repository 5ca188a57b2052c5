"""AWS's clients, and what goes wrong with them."""
