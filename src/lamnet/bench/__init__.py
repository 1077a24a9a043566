"""What networks and the operator cost on this machine: ours, and peers, all timed in turns within one run."""
