"""What a team's tasks used, and the requests that would fit, as the platform's own job collected it."""
