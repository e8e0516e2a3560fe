"""What lies below everything: places, tensors on disk, checksums, locks, processes."""
