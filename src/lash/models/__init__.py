"""Models: what is known of them, the provider port, failures and their classification."""
