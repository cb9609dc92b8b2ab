"""What a photo, a class, a network and a checkpoint are, and how to run one."""
