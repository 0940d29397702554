"""What differs between server kinds, a file each."""
