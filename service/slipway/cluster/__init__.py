"""Where a rollout lives: a namespace of Kubernetes, or a folder of one machine."""
