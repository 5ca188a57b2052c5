"""The team's images: built where their folder changed, pushed, and named by digest."""
