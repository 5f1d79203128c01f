"""Small genomes as files."""

from pathlib import Path


def write_fasta(path: Path, contigs: dict[str, str], width: int = 60, end: str = "\n") -> Path:
    """A plain FASTA with lines of `width` letters."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = []
    for name, letters in contigs.items():
        lines += [
            f">{name}",
            *(letters[index : index + width] for index in range(0, len(letters), width)),
        ]
    path.write_bytes("".join(line + end for line in lines).encode())
    return path
