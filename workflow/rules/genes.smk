# The genes of an annotation, and the table of genes and tracks.

if run.annotation:

    # It waits for nothing and comes first, so that a mistake in the file is found at once.
    rule write_genes:
        input:
            annotation=ancient(run.annotation.path),
            plan=plan_of_run,
        output:
            bed=paths.genes,
            bigbed=paths.genes_bigbed,
        log:
            f"{LOGS}/write_genes.log",
        priority: 2
        localrule: True
        conda:
            "../../envs/seqcov.yaml"
        params:
            digest=run.annotation_digest,
        script:
            "../../scripts/write_genes.py"
