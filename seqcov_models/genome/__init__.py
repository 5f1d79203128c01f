"""FASTA access, regions and contig names."""
