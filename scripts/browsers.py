"""Write what genome browsers open: a UCSC hub and a session of IGV desktop."""

import os
from pathlib import Path

from jobs import logged

with logged(snakemake.log[0]):
    from seqcov_models.browsers import hub as browsers
    from seqcov_models.files import written_whole
    from seqcov_models.genome.fasta import open_fasta
    from seqcov_models.run.outputs import read_table

    genome, rows = snakemake.params.genome, read_table(Path(snakemake.input.tracks))
    hub, igv = Path(snakemake.output.hub), Path(snakemake.output.igv)
    fasta = open_fasta(snakemake.input.fasta, hub.parent)
    view = browsers.locus(
        fasta.contigs, genome["regions"], genome["exclude"], genome["contig_aliases"]
    )
    if snakemake.output.two_bit:
        with written_whole(Path(snakemake.output.two_bit)) as part:
            browsers.write_two_bit(part, fasta)
    with written_whole(hub) as part:
        text = browsers.hub(genome["name"], genome["assembly"], rows, view)
        part.write_text(text, encoding="utf-8")
    peaks = [os.path.relpath(file, igv.parent) for file in snakemake.input.peaks]
    with written_whole(igv) as part:
        path = os.path.relpath(fasta.path.parent.resolve() / fasta.path.name, igv.parent.resolve())
        part.write_text(browsers.igv_session(path, rows, view, igv.parent, peaks), encoding="utf-8")
