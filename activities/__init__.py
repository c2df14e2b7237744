"""What touches the world for a workflow."""
