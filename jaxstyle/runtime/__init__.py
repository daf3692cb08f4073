"""What a process needs around its work: memory, caches, files that are whole or not there, journals, interrupts."""
