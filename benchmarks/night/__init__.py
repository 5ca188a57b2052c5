"""What a night of many teams costs on the platform, and how long their pods wait."""
