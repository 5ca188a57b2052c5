"""The main job from end to end on the local platform, as a team would live it."""
