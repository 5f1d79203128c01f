# What `snakemake` runs in this folder. The workflow itself is workflow/Snakefile.


include: "workflow/Snakefile"


# Snakemake forgets the default target of an included file.
rule seqcov:
    default_target: True
    input:
        rules.all.input,
